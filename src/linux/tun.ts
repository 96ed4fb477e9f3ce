/** Devices whose packets a program reads and writes: /dev/net/tun (include/uapi/linux/if_tun.h). */
import { ERRNO, KernelError } from "./errno.ts";
import { NR } from "./nr.ts";
import { bytes, s32, struct, u16, u32 } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";
import { textOf, textToBytes } from "./text.ts";

/** ioctl(2) requests. */
export const TUN = {
  SETIFF: 0x400454ca,
  SETPERSIST: 0x400454cb,
  SETOWNER: 0x400454cc,
  SETGROUP: 0x400454ce,
  GETIFF: 0x800454d2,
  GETSNDBUF: 0x800454d3,
  SETSNDBUF: 0x400454d4,
  GETVNETHDRSZ: 0x800454d7,
  SETVNETHDRSZ: 0x400454d8,
  SETQUEUE: 0x400454d9,
  SETIFINDEX: 0x400454da,
  GETFILTER: 0x801054db,
} as const;

/** Flags of a device; DETACH_QUEUE is one of a descriptor. NO_PI means something else where flags are read. */
export const TUN_FLAG = {
  TUN: 0x1,
  TAP: 0x2,
  NAPI: 0x10,
  NAPI_FRAGS: 0x20,
  MULTI_QUEUE: 0x100,
  DETACH_QUEUE: 0x400,
  PERSIST: 0x800,
  NO_PI: 0x1000,
  VNET_HDR: 0x4000,
} as const;

/** Attributes by which the kernel tells of a device (IFLA_TUN_* of include/uapi/linux/if_link.h). */
export const IFLA_TUN = {
  OWNER: 1,
  GROUP: 2,
  TYPE: 3,
  PI: 4,
  VNET_HDR: 5,
  PERSIST: 6,
  MULTI_QUEUE: 7,
} as const;

/** Number of the device node. */
export const TUN_MAJOR = 10;
export const TUN_MINOR = 200;

/** struct ifreq: a name and flags. */
const ifreq = struct({ name: bytes(16), flags: u16 }, 40);
/** struct sock_fprog */
const sockFprog = struct({ length: u16 }, 16);

function control(fd: number, request: number, argument: Uint8Array | number, what: string): void {
  const value = typeof argument === "number" ? argument : addressOf(argument);
  checkResult(rawSyscall(NR.ioctl, fd, request, value), NR.ioctl, what);
}

/** The device that a descriptor is attached to; undefined where it is to none yet. @throws KernelError */
export function attachedDevice(fd: number): { readonly name: string; readonly flags: number } | undefined {
  const buffer = ifreq.encode({});
  const result = rawSyscall(NR.ioctl, fd, TUN.GETIFF, addressOf(buffer));
  if (result === -ERRNO.EBADFD) return undefined;
  checkResult(result, NR.ioctl, "TUNGETIFF");
  return { name: textOf(buffer, 0, buffer.indexOf(0)), flags: ifreq.decode(buffer).flags };
}

/** What TUNSETIFF and TUNSETQUEUE take. */
export function deviceRequest(name: string, flags: number): Uint8Array {
  return ifreq.encode({ name: textToBytes(name), flags });
}

export function deviceIndex(index: number): Uint8Array {
  const buffer = new Uint8Array(u32.size);
  u32.write(buffer, 0, index);
  return buffer;
}

/** Attaches a descriptor to a device, which is made if there is none. @throws KernelError */
export function attach(fd: number, name: string, flags: number): void {
  control(fd, TUN.SETIFF, deviceRequest(name, flags), `TUNSETIFF of ${name}`);
}

/** Detaches a descriptor's queue, for it to be attached again one day. @throws KernelError */
export function detachQueue(fd: number, name: string): void {
  control(fd, TUN.SETQUEUE, deviceRequest(name, TUN_FLAG.DETACH_QUEUE), `TUNSETQUEUE of ${name}`);
}

/** One of the numbers that are read by GET..., in bytes. @throws KernelError */
export function tunNumber(fd: number, request: number): number {
  const buffer = new Uint8Array(s32.size);
  control(fd, request, buffer, "a tun device");
  return s32.read(buffer, 0);
}

/** Sets one of the numbers that SET... take by their address. @throws KernelError */
export function setTunNumber(fd: number, request: number, value: number): void {
  const buffer = new Uint8Array(s32.size);
  s32.write(buffer, 0, value);
  control(fd, request, buffer, "a tun device");
}

/** Sets one of those that are the argument themselves. @throws KernelError */
export function setTunValue(fd: number, request: number, value: number): void {
  control(fd, request, value, "a tun device");
}

/** Whether a filter decides which packets a tap device gives. @throws KernelError */
export function hasFilter(fd: number): boolean {
  const buffer = sockFprog.encode({});
  const result = rawSyscall(NR.ioctl, fd, TUN.GETFILTER, addressOf(buffer));
  // Devices of the other kind have none.
  if (result === -ERRNO.EINVAL) return false;
  if (result < 0) throw new KernelError("ioctl", "TUNGETFILTER", -result);
  return sockFprog.decode(buffer).length !== 0;
}
