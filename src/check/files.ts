/** What the kernel offers for open files. */

import { F } from "../linux/fcntl.ts";
import { Fd } from "../linux/fd.ts";
import { AT, O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { struct, u32, u64, viewOf } from "../linux/struct.ts";
import { attempt, call, descriptor, infoOf, MissingError, refusal } from "./probe.ts";
import { namespaceOf } from "./sockets.ts";

/** An int as ioctl(2) reads it. */
function intOf(value: number): Uint8Array {
  const bytes = new Uint8Array(u32.size);
  u32.write(bytes, 0, value);
  return bytes;
}

function line(file: Fd, start: string): string {
  const found = infoOf(file)
    .split("\n")
    .find((each) => each.startsWith(start));
  if (found === undefined) throw new MissingError(`/proc/PID/fdinfo has no line "${start}"`);
  return found;
}

export function mountId(): void {
  using file = Fd.open("/proc/self/status", O.RDONLY);
  line(file, "mnt_id:");
}

const LOCK_SH = 1;

export function lockLines(): void {
  using file = Fd.open("/proc/self/status", O.RDONLY);
  call("a file of /proc", NR.flock, file.number, LOCK_SH);
  line(file, "lock:");
}

export function ownerUids(): void {
  using file = Fd.open("/proc/self/comm", O.RDONLY);
  call("F_GETOWNER_UIDS", NR.fcntl, file.number, F.GETOWNER_UIDS, new Uint8Array(8));
}

const EPOLL_CTL_ADD = 1;
const IN_ALL_EVENTS = 0xfff;

/** What /proc/PID/fdinfo says of descriptors that are no files. */
export function fdinfoOfKinds(): void {
  using eventfd = descriptor("eventfd", NR.eventfd2, 13, O.CLOEXEC);
  if (!/\bd\s*$/.test(line(eventfd, "eventfd-count:")))
    throw new MissingError("/proc/PID/fdinfo has another count than the eventfd");
  using epoll = descriptor("epoll", NR.epoll_create1, O.CLOEXEC);
  call("epoll", NR.epoll_ctl, epoll.number, EPOLL_CTL_ADD, eventfd.number, new Uint8Array(16));
  line(epoll, "tfd:");
  const mask = new Uint8Array(8).fill(0x02);
  using signalfd = descriptor("signalfd", NR.signalfd4, -1, mask, 8, O.CLOEXEC);
  line(signalfd, "sigmask:");
  using inotify = descriptor("inotify", NR.inotify_init1, O.CLOEXEC);
  call("inotify of /proc", NR.inotify_add_watch, inotify.number, "/proc", IN_ALL_EVENTS);
  line(inotify, "inotify wd:");
}

/** _IOW('T', 0, u64) */
const TFD_IOC_SET_TICKS = 0x4008_5400;

export function timerfdTicks(): void {
  using timer = descriptor("timerfd", NR.timerfd_create, 1, O.CLOEXEC | O.NONBLOCK);
  const ticks = struct({ ticks: u64 }).encode({ ticks: 3n });
  const set = attempt(NR.ioctl, timer.number, TFD_IOC_SET_TICKS, ticks);
  if (set < 0) throw refusal("ioctl TFD_IOC_SET_TICKS", set);
}

/** _IOW('T', 218, unsigned int) (include/uapi/linux/if_tun.h). */
const TUNSETIFINDEX = 0x4004_54da;

export function tunIndex(): void {
  using tun = Fd.open("/dev/net/tun", O.RDWR);
  const set = attempt(NR.ioctl, tun.number, TUNSETIFINDEX, intOf(13));
  if (set < 0) throw refusal("ioctl TUNSETIFINDEX", set);
}

export function tunNamespace(): void {
  using tun = Fd.open("/dev/net/tun", O.RDWR);
  namespaceOf("a tun device", tun);
}

/** _IOW('T', 0x31, int), _IOR('T', 0x30, unsigned int) (include/uapi/asm-generic/ioctls.h). */
const TIOCSPTLCK = 0x4004_5431;
const TIOCGPTN = 0x8004_5430;
const EIO = -5;

/** A terminal whose master is locked cannot be opened: so a restore keeps others out until it is done. */
export function terminalLock(): void {
  using master = Fd.open("/dev/ptmx", O.RDWR | O.NOCTTY);
  call("TIOCSPTLCK", NR.ioctl, master.number, TIOCSPTLCK, intOf(1));
  const number = new Uint8Array(4);
  call("TIOCGPTN", NR.ioctl, master.number, TIOCGPTN, number);
  const slave = `/dev/pts/${viewOf(number).getUint32(0, true)}`;
  const opened = attempt(NR.openat, AT.FDCWD, slave, O.RDWR | O.NOCTTY);
  if (opened >= 0) attempt(NR.close, opened);
  if (opened !== EIO) throw refusal(`opening the locked terminal ${slave}`, opened);
}

/** struct open_how (include/uapi/linux/openat2.h). */
const openHow = struct({ flags: u64, mode: u64, resolve: u64 });
const RESOLVE_IN_ROOT = 0x10n;

export function openInRoot(): void {
  using root = Fd.open("/proc", O.PATH | O.DIRECTORY);
  const how = openHow.encode({ flags: BigInt(O.PATH | O.CLOEXEC), resolve: RESOLVE_IN_ROOT });
  using _file = descriptor("with RESOLVE_IN_ROOT", NR.openat2, root.number, "/../self", how, how.length);
}

export function semNextId(): void {
  using _file = Fd.open("/proc/sys/kernel/sem_next_id", O.RDWR);
}
