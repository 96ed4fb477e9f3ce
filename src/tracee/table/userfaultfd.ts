/** A userfaultfd(2) of another process' memory, open in ours alone: that process makes it. */
import { encodeTime } from "../../linux/clock.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { O } from "../../linux/io.ts";
import { readMemory, writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { sleep } from "../../linux/sleep.ts";
import { s64, word } from "../../linux/struct.ts";
import { UFFD_USER_MODE_ONLY } from "../../linux/userfaultfd.ts";
import { OP } from "../../machine/runner.ts";
import type { Table } from "./table.ts";

const FLAGS = O.CLOEXEC | UFFD_USER_MODE_ONLY;

/**
 * Has process `pid`, which is being restored, make one by its `table`; it is the caller's. Undefined where the kernel refuses it.
 * @throws KernelError
 */
export function userfaultfdOf(pid: HostPid, table: Table): Fd | undefined {
  const inside = table.call(NR.userfaultfd, FLAGS);
  table.run();
  if (inside.failed) return undefined;
  using pidfd = Fd.ofProcess(pid);
  const uffd = Fd.outOf(pidfd.number, inside.value);
  table.must("its userfaultfd", NR.close, inside.value);
  table.run();
  return uffd;
}

/** What stands where the number of the descriptor will be. */
const NOT_YET = 2 ** 40;
/** Nanoseconds between two looks of the process, and how often it looks: whether we have taken the descriptor. */
const PAUSE = 20_000n;
const LOOKS = 20_000;
/** Milliseconds between two looks of ours, and how often we look. */
const OUR_PAUSE = 0.05;
const OUR_LOOKS = 4000;

/**
 * The same of a process that is to run on as it was, even if we are killed: it closes the descriptor by itself in the end. Undefined
 * as well where it can only be called from outside, call by call. @throws KernelError
 */
export function userfaultfdOfLiving(pid: HostPid, table: Table): Fd | undefined {
  if (!table.runsByItself) return undefined;
  // The number; whether it is still to be taken; how often that is looked at.
  const words = new Uint8Array(3 * word.size);
  [NOT_YET, 1, LOOKS].forEach((value, i) => {
    word.write(words, i * word.size, value);
  });
  const shared = table.space(words.length, words);
  const wanted = shared.at(word.size);
  const pause = table.data(encodeTime(PAUSE));
  const inside = table.call(NR.userfaultfd, FLAGS);
  table.keep(inside, shared.address);
  table.call(NR.nanosleep, pause, 0);
  table.operation(OP.REPEAT, wanted, 0, shared.at(2 * word.size));
  table.call(NR.close, inside);
  table.start();
  try {
    const number = readNumber(pid, shared.address.address);
    if (number === undefined) return undefined;
    using pidfd = Fd.ofProcess(pid);
    return Fd.outOf(pidfd.number, number);
  } catch (error) {
    // We were too slow.
    if (isErrno(error, ERRNO.EBADF)) return undefined;
    throw error;
  } finally {
    writeMemory(pid, wanted.address, new Uint8Array(word.size));
    table.finish();
  }
}

/** The number that the process writes, once it is there; undefined where it is an errno, or does not come. */
function readNumber(pid: HostPid, address: number): number | undefined {
  const bytes = new Uint8Array(word.size);
  for (let look = 0; look < OUR_LOOKS; look++) {
    readMemory(pid, address, bytes);
    const number = Number(s64.read(bytes, 0));
    if (number !== NOT_YET) return number < 0 ? undefined : number;
    sleep(OUR_PAUSE);
  }
  return undefined;
}
