/**
 * What waits in a pty: typed into the master and not yet read from the slave (input), and the other way round (output). The kernel
 * lets nobody look: it is read, and written back at once. A child of ours does both, which goes on should we be killed.
 */

import { ChildTable } from "../../linux/child-table.ts";
import { encodeTime } from "../../linux/clock.ts";
import { F } from "../../linux/fcntl.ts";
import { fcntl, O, writeAll } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { POLL, poll, pollfd } from "../../linux/poll.ts";
import { setTermios, type Termios, TIOC, termiosCall, ttyNumber } from "../../linux/tty.ts";

/** Bits of termios(3) (include/uapi/asm-generic/termbits-common.h). */
const LFLAG = { ICANON: 2, EXTPROC: 0x10000 } as const;
const OPOST = 1;
/** c_cc of VMIN; all that are 0 are disabled. */
const VMIN = 6;

/** A line discipline holds so much; more waits before it, and comes when there is room. */
const LDISC_SIZE = 4096;
/** Sizes of the reads of an output, with a pause between them where more waits than a line discipline holds. */
const SLOW_READS = Array.from({ length: 5 }, () => LDISC_SIZE);
const READS = [0x4000];
/** A write of so much reaches the slave's line discipline in one piece (TTY_BUFFER_PAGE of drivers/tty/tty_buffer.c is larger). */
const PIECE = 1024;
const INPUT_READS = [PIECE, 0x4000 - PIECE];
/** Nanoseconds. */
const PAUSE = 1_000_000n;

/** Everything can be read as it is, unfinished lines too. */
function raw(termios: Termios): Termios {
  const cc = termios.cc.map((value, i) => (i === VMIN ? 1 : i === VMIN - 1 ? 0 : value));
  return { ...termios, iflag: 0, lflag: termios.lflag & ~(LFLAG.ICANON | LFLAG.EXTPROC), cc };
}

/** What is written to the master arrives as it is, in lines where there were lines. */
function verbatimInput(termios: Termios): Termios {
  return { ...termios, iflag: 0, lflag: termios.lflag & LFLAG.ICANON, cc: termios.cc.map(() => 0) };
}

function verbatimOutput(termios: Termios): Termios {
  return { ...termios, oflag: termios.oflag & ~OPOST };
}

export interface PtyData {
  readonly input: Uint8Array;
  readonly output: Uint8Array;
}

/*
 * A worker of the kernel brings what is written to a master to the slave's line discipline. It has to be there before the attributes
 * change again, or it is echoed and edited once more. poll(2) of the slave waits for the worker while nothing can be read
 * (n_tty_poll); if something can be, the worker is at this piece, and tcsetattr(3) waits until it is through (termios_rwsem).
 */

/**
 * What waits in a pty, which is as it was afterwards. `slave` is a description of our own, open for reading and writing and
 * non-blocking; nobody else uses the terminal meanwhile. @throws KernelError
 */
export function peekPty(master: number, slave: number, termios: Termios, isPacket: boolean): PtyData {
  using child = new ChildTable(true);
  const set = (attributes: Termios) => {
    const { request, bytes } = termiosCall(attributes);
    child.call(NR.ioctl, slave, request, bytes);
  };
  const packet = (on: number) =>
    child.call(NR.ioctl, master, TIOC.PKT, new Uint8Array(Int32Array.of(on).buffer));
  const flags = fcntl(master, F.GETFL);
  const waiting = Math.max(ttyNumber(master, TIOC.INQ), 0);
  child.call(NR.fcntl, master, F.SETFL, flags | O.NONBLOCK);
  if (isPacket) packet(0);
  const output = readAll(child, master, waiting >= LDISC_SIZE - 1 ? SLOW_READS : READS);
  set(raw(termios));
  const input = readAll(child, slave, INPUT_READS);
  set(verbatimInput(termios));
  for (const { buffer, result } of input) {
    child.call(NR.write, master, buffer.address, result);
    child.call(NR.poll, pollfd.encode({ fd: slave, events: POLL.IN }), 1, 0);
  }
  set(verbatimOutput(termios));
  for (const { buffer, result } of output) child.call(NR.write, slave, buffer.address, result);
  set(termios);
  if (isPacket) packet(1);
  child.call(NR.fcntl, master, F.SETFL, flags);
  child.run();
  return { input: gathered(input), output: gathered(output) };
}

type Reads = ReturnType<typeof readAll>;

function readAll(child: ChildTable, fd: number, sizes: readonly number[]) {
  return sizes.map((size, i) => {
    if (sizes === SLOW_READS && i > 0) child.call(NR.nanosleep, encodeTime(PAUSE), 0);
    const buffer = child.data(size);
    return { buffer, result: child.call(NR.read, fd, buffer.address, buffer.bytes.length) };
  });
}

function gathered(reads: Reads): Uint8Array {
  const parts = reads.map(({ buffer, result }) => buffer.bytes.slice(0, Math.max(result.raw, 0)));
  return new Uint8Array(Buffer.concat(parts));
}

/** Puts into a new pty what waited in it; its attributes are those given afterwards. @throws KernelError */
export function fillPty(master: number, slave: number, termios: Termios, { input, output }: PtyData): void {
  if (input.length > 0) {
    setTermios(slave, verbatimInput(termios));
    for (let at = 0; at < input.length; at += PIECE) {
      writeAll(master, input.subarray(at, at + PIECE));
      poll(slave, POLL.IN);
    }
  }
  if (output.length > 0) {
    setTermios(slave, verbatimOutput(termios));
    writeAll(slave, output);
  }
  setTermios(slave, termios);
}
