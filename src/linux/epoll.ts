/** epoll(7): what an instance watches, told by the kernel and told to it. */

import { HelperThread } from "./helper-thread.ts";
import { NR } from "./nr.ts";
import type { HostPid } from "./pid.ts";
import { struct, u8, u16, u32 } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

/** struct epoll_event: on x86-64 packed, so that its 64 bits of data stand at byte 4. */
const epollEvent = struct({ events: u32, dataLow: u32, dataHigh: u32 });
const EPOLL_CTL_ADD = 1;

/** struct kcmp_epoll_slot (include/uapi/linux/kcmp.h). */
const epollSlot = struct({ efd: u32, tfd: u32, toff: u32 });
const KCMP_EPOLL_TFD = 7;

/** struct epoll_params (include/uapi/linux/eventpoll.h, kernel 6.9). */
const epollParams = struct({ busy_poll_usecs: u32, busy_poll_budget: u16, prefer_busy_poll: u8, pad: u8 });
const EPIOCSPARAMS = 0x4008_8a01;
const EPIOCGPARAMS = 0x8008_8a02;

/** One registration, as /proc/PID/fdinfo of an instance shows it. */
export interface EpollTarget {
  /** The number that the file was registered by. */
  readonly number: number;
  readonly events: number;
  readonly data: bigint;
  readonly pos: bigint;
  readonly inode: number;
  readonly device: number;
}

/** Parses the values of the lines `tfd:` of an instance's fdinfo, in their order. */
export function parseEpollTargets(lines: readonly string[]): EpollTarget[] {
  return lines.map((line) => {
    const field = (name: string) => new RegExp(`\\b${name}:\\s*(-?[0-9a-f]+)`).exec(line)?.[1] ?? "0";
    return {
      number: Number.parseInt(line, 10),
      events: Number.parseInt(field("events"), 16),
      data: BigInt(`0x${field("data")}`),
      pos: BigInt(field("pos")),
      inode: Number.parseInt(field("ino"), 16),
      device: Number.parseInt(field("sdev"), 16),
    };
  });
}

/**
 * Whether descriptor `fd` of task `pid` is the file that an instance, descriptor `efd` of task `epollPid`, watches under
 * `number`: of several under that number the one of index `nth`, in the order of its fdinfo. Kernel 4.13.
 */
export function isEpollTarget(
  pid: HostPid,
  fd: number,
  epollPid: HostPid,
  efd: number,
  number: number,
  nth: number,
): boolean {
  const slot = epollSlot.encode({ efd, tfd: number, toff: nth });
  return rawSyscall(NR.kcmp, pid, epollPid, KCMP_EPOLL_TFD, fd, addressOf(slot)) === 0;
}

export interface EpollParams {
  readonly busy_poll_usecs: number;
  readonly busy_poll_budget: number;
  readonly prefer_busy_poll: number;
}

/** How an instance polls busily; undefined where the kernel does not tell, or it does not. */
export function getEpollParams(epoll: number): EpollParams | undefined {
  const bytes = new Uint8Array(epollParams.size);
  if (rawSyscall(NR.ioctl, epoll, EPIOCGPARAMS, addressOf(bytes)) < 0) return undefined;
  return bytes.every((byte) => byte === 0) ? undefined : epollParams.decode(bytes);
}

/** @throws KernelError */
export function setEpollParams(epoll: number, params: EpollParams): void {
  const bytes = epollParams.encode({ ...params, pad: 0 });
  checkResult(rawSyscall(NR.ioctl, epoll, EPIOCSPARAMS, addressOf(bytes)), NR.ioctl, "EPIOCSPARAMS");
}

/** A registration to be made: descriptors of ours, and the number that it is to be known by. */
export interface EpollAddition {
  readonly epoll: number;
  readonly target: number;
  readonly number: number;
  readonly events: number;
  readonly data: bigint;
}

/** Registrations in one run. */
const CHUNK = 256;
const CALLS = 2;

/**
 * Makes registrations under numbers of the caller's choice, whatever these numbers are here: a thread that has descriptors of
 * its own gives each target its number for as long as the call takes. No descriptor in `epoll` or `target` may be above the
 * limit of ours, nor any number. `failed` is told of those that the kernel refuses, with the errno.
 * @throws KernelError where there is no such thread to be had
 */
export function addToEpoll(
  additions: readonly EpollAddition[],
  failed: (addition: EpollAddition, errno: number) => void,
): void {
  const thread = new HelperThread(CALLS * CHUNK, CHUNK * epollEvent.size, true);
  for (let from = 0; from < additions.length; from += CHUNK) {
    const some = additions.slice(from, from + CHUNK);
    some.forEach(({ epoll, target, number, events, data }, i) => {
      const at = thread.dataAt + i * epollEvent.size;
      const dataLow = Number(data & 0xffff_ffffn);
      epollEvent.encodeInto(thread.bytes, at, { events, dataLow, dataHigh: Number(data >> 32n) });
      thread.entry(CALLS * i, NR.dup2, target, number);
      thread.entry(CALLS * i + 1, NR.epoll_ctl, epoll, EPOLL_CTL_ADD, number, thread.address + at);
    });
    thread.start(CALLS * some.length);
    thread.await();
    some.forEach((addition, i) => {
      for (let call = 0; call < CALLS; call++) {
        const result = thread.resultOf(CALLS * i + call);
        if (result >= 0) continue;
        failed(addition, -result);
        break;
      }
    });
  }
}
