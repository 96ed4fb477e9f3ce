/**
 * Rings of packets that a packet socket shares with its program (Documentation/networking/packet_mmap.rst). Which frame the kernel
 * fills next it tells nobody: it is the one behind the frame that was filled last, by the times in them. A restore has the kernel
 * fill frames up to there, then puts back what waited.
 */
import type { PacketFrame, PacketRing as Ring } from "../../images/schema/generated/sockets.ts";
import type { Fd } from "../../linux/fd.ts";
import { MAP, PROT, readMemory, writeMemory } from "../../linux/memory.ts";
import { NR } from "../../linux/nr.ts";
import { ourPid } from "../../linux/ourselves.ts";
import { bind, getOption, SOL } from "../../linux/socket.ts";
import { send } from "../../linux/socket-messages.ts";
import { PACKET_OPTION } from "../../linux/socket-options.ts";
import { struct, u16, u32 } from "../../linux/struct.ts";
import { syscall } from "../../linux/syscall.ts";
import { FileDumpError, FileRestoreError } from "../errors.ts";

/** What a ring had; nothing where nobody has used it yet. */
export interface RingContent {
  readonly next: number | undefined;
  readonly frames: PacketFrame[];
}

const UNUSED: RingContent = { next: undefined, frames: [] };
export const TPACKET = { V1: 0, V2: 1, V3: 2 } as const;
/** struct tpacket_hdr, and tpacket2_hdr as far as its time: fractions are of micro- and nanoseconds. */
const header1 = struct({
  status: u32,
  upper: u32,
  len: u32,
  snaplen: u32,
  mac: u16,
  net: u16,
  sec: u32,
  fraction: u32,
});
const header2 = struct({ status: u32, len: u32, snaplen: u32, mac: u16, net: u16, sec: u32, fraction: u32 });
/** struct tpacket_block_desc, as far as it is looked at. */
const block3 = struct({
  version: u32,
  toPrivate: u32,
  status: u32,
  packets: u32,
  toFirst: u32,
  length: u32,
  sequence: u32,
});
/** The kernel's own to fill. */
const TP_STATUS_KERNEL = 0;
/** A protocol for local experiments (IEEE 802), and one that is reserved for ever: 0xffff in any order of bytes. */
const ETH_P_EXPERIMENT = 0x88b6;
export const QUIET_PROTOCOL = 0xffff;

export const bytesOf = (ring: Ring | undefined): number =>
  ring === undefined ? 0 : ring.block_size * ring.block_nr;

/** Has the rings of a socket mapped in our own process. */
class OwnMapping implements Disposable {
  readonly #start: number;
  constructor(
    fd: number,
    private readonly size: number,
  ) {
    this.#start = syscall("rings of packets", NR.mmap, 0, size, PROT.READ | PROT.WRITE, MAP.SHARED, fd, 0);
  }

  read(at: number, length: number): Uint8Array {
    return readMemory(ourPid(), this.#start + at, new Uint8Array(length));
  }

  write(at: number, bytes: Uint8Array): void {
    writeMemory(ourPid(), this.#start + at, bytes);
  }

  [Symbol.dispose](): void {
    syscall("rings of packets", NR.munmap, this.#start, this.size);
  }
}

/** Where frame `index` is. Blocks may be larger than their frames. */
function frameAt({ block_size, frame_size }: Ring, index: number): number {
  const inBlock = Math.floor(block_size / frame_size);
  return Math.floor(index / inBlock) * block_size + (index % inBlock) * frame_size;
}

/** What is in the rings of a socket, which `where` names. @throws FileDumpError for what cannot be brought back, KernelError */
export function dumpRings(
  fd: number,
  version: number,
  receive: Ring | undefined,
  sending: Ring | undefined,
  where: string,
): RingContent {
  const size = bytesOf(receive) + bytesOf(sending);
  if (size === 0) return UNUSED;
  using mapping = new OwnMapping(fd, size);
  if (sending !== undefined && isUsed(mapping, sending, bytesOf(receive)))
    throw new FileDumpError(
      `${where}: packets have been sent by its ring, and nobody is told where the kernel goes on in it`,
    );
  if (receive === undefined) return UNUSED;
  if (version !== TPACKET.V3) return contentOf(mapping, receive, version === TPACKET.V1 ? header1 : header2);
  if (areBlocksUsed(mapping, receive))
    throw new FileDumpError(
      `${where}: packets have come by its ring, whose blocks (TPACKET_V3) cannot be dumped; rings of TPACKET_V2 can`,
    );
  return UNUSED;
}

/** Whether any frame was ever used: what is in its header stays there. */
function isUsed(mapping: OwnMapping, ring: Ring, start: number): boolean {
  for (let i = 0; i < ring.frame_nr; i++)
    if (mapping.read(start + frameAt(ring, i), header2.size).some((byte) => byte !== 0)) return true;
  return false;
}

/** The first block is open from the beginning. */
function areBlocksUsed(mapping: OwnMapping, ring: Ring): boolean {
  for (let i = 0; i < ring.block_nr; i++) {
    const { status, packets, sequence } = block3.decode(mapping.read(i * ring.block_size, block3.size));
    if (status !== TP_STATUS_KERNEL || packets !== 0 || (i > 0 && sequence !== 0)) return true;
  }
  return false;
}

function contentOf(mapping: OwnMapping, ring: Ring, header: typeof header1 | typeof header2): RingContent {
  const frames: PacketFrame[] = [];
  let last: { readonly index: number; readonly sec: number; readonly fraction: number } | undefined;
  for (let index = 0; index < ring.frame_nr; index++) {
    const at = frameAt(ring, index);
    const { status, sec, fraction } = header.decode(mapping.read(at, header.size));
    if (status !== TP_STATUS_KERNEL) frames.push({ index, data: mapping.read(at, ring.frame_size) });
    // Of two of the same instant the second one in the ring was the later.
    const isLater = last === undefined || sec > last.sec || (sec === last.sec && fraction >= last.fraction);
    if (sec !== 0 && isLater) last = { index, sec, fraction };
  }
  return last === undefined ? UNUSED : { next: (last.index + 1) % ring.frame_nr, frames };
}

/** Who lets a socket have frames. */
export interface Feeder {
  /** Where its frames go, on the loopback device. */
  readonly address: Uint8Array;
  /** Where nobody sends to. */
  readonly quiet: Uint8Array;
  /** A packet socket in the same namespace, the caller's. */
  open(): Fd;
}

/** What frames are bound to, and come from, while a ring is brought to where it was; in network byte order. */
export const FEEDING_PROTOCOL = ((ETH_P_EXPERIMENT & 0xff) << 8) | (ETH_P_EXPERIMENT >>> 8);

/**
 * Brings the ring that a socket has just been given, and that it is bound to nothing yet with, to where it was.
 * @throws FileRestoreError, KernelError
 */
export function restoreRing(
  fd: number,
  receive: Ring,
  size: number,
  content: RingContent,
  feeder: Feeder,
  what: string,
): void {
  const { next, frames } = content;
  if (next === undefined) return;
  if (next >= receive.frame_nr || frames.some(({ index }) => index >= receive.frame_nr))
    throw new FileRestoreError(`${what}: its ring has no frame of that number`);
  if (frames.some(({ data }) => data.length !== receive.frame_size))
    throw new FileRestoreError(`${what}: a frame of its ring is of another size`);
  using mapping = new OwnMapping(fd, size);
  bind(fd, feeder.address);
  using sender = feeder.open();
  for (let index = 0; index < next; index++) {
    send(sender.number, { bytes: new Uint8Array(1), to: feeder.address });
    const filled = mapping.read(frameAt(receive, index), header2.size);
    if (u32.read(filled, 0) === TP_STATUS_KERNEL)
      throw new FileRestoreError(`${what}: its ring cannot be brought to where it was`);
  }
  // They are no packets of anybody's, nor to be counted.
  for (let index = 0; index < next; index++) {
    // By the time of the last one a dump finds out where the kernel goes on.
    const isLast = index === next - 1;
    mapping.write(frameAt(receive, index), new Uint8Array(isLast ? u32.size : header1.size));
  }
  bind(fd, feeder.quiet);
  getOption(fd, SOL.PACKET, PACKET_OPTION.STATISTICS, 3 * u32.size);
  for (const { index, data } of frames) mapping.write(frameAt(receive, index), data);
}
