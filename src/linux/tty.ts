/** Terminals (ioctl_tty(2), termios(3)): what can be asked of them and set. */

import { ERRNO } from "./errno.ts";
import { NR } from "./nr.ts";
import { POLL, poll } from "./poll.ts";
import { s32, struct, u8, u16, u32 } from "./struct.ts";
import { addressOf, checkResult, rawSyscall } from "./syscall.ts";

/** Requests (include/uapi/asm-generic/ioctls.h). */
export const TIOC = {
  EXCL: 0x540c,
  SCTTY: 0x540e,
  GPGRP: 0x540f,
  SPGRP: 0x5410,
  GWINSZ: 0x5413,
  SWINSZ: 0x5414,
  INQ: 0x541b,
  PKT: 0x5420,
  GETD: 0x5424,
  GSID: 0x5429,
  GPTPEER: 0x5441,
  GPTN: 0x8004_5430,
  SPTLCK: 0x4004_5431,
  GPKT: 0x8004_5438,
  GPTLCK: 0x8004_5439,
  GEXCL: 0x8004_5440,
  GLCKTRMIOS: 0x5456,
  SLCKTRMIOS: 0x5457,
} as const;
const TCSETS = 0x5402;
const TCGETS2 = 0x802c_542a;
const TCSETS2 = 0x402c_542b;

/** Control characters of the kernel's struct termios (NCCS). */
export const NCCS = 19;
const flags = { iflag: u32, oflag: u32, cflag: u32, lflag: u32, line: u8 } as const;
/** Bytes of the flags and the discipline; the control characters follow, and in struct termios2 the two speeds. */
const CC_AT = 17;
const head = struct(flags);
const TERMIOS_SIZE = 36;
const TERMIOS2_SIZE = 44;
const speeds = struct({ ispeed: u32, ospeed: u32 });
const winsizeOf = struct({ row: u16, col: u16, xpixel: u16, ypixel: u16 });
const intOf = struct({ value: s32 });

export interface Termios {
  readonly iflag: number;
  readonly oflag: number;
  readonly cflag: number;
  readonly lflag: number;
  readonly line: number;
  /** Control characters, {@link NCCS} of them. */
  readonly cc: readonly number[];
  /** In bits a second; 0 where they are not known. */
  readonly ispeed: number;
  readonly ospeed: number;
}

export interface Winsize {
  readonly row: number;
  readonly col: number;
  readonly xpixel: number;
  readonly ypixel: number;
}

/** The number that an ioctl(2) writes; a negative errno where it is refused. */
export function ttyNumber(fd: number, request: number): number {
  const bytes = new Uint8Array(intOf.size);
  const result = rawSyscall(NR.ioctl, fd, request, addressOf(bytes));
  return result < 0 ? result : intOf.decode(bytes).value;
}

/** An ioctl(2) that reads a number. @throws KernelError */
export function setTtyNumber(fd: number, request: number, value: number, what: string): void {
  const bytes = intOf.encode({ value });
  checkResult(rawSyscall(NR.ioctl, fd, request, addressOf(bytes)), NR.ioctl, what);
}

/** Opens the slave of a master (TIOCGPTPEER, kernel 4.13), which must be unlocked; the caller's. @throws KernelError */
export function openPeer(master: number, flags: number): number {
  return checkResult(rawSyscall(NR.ioctl, master, TIOC.GPTPEER, flags), NR.ioctl, "TIOCGPTPEER");
}

/** Whether the other end has been closed: poll(2) tells of a hangup. */
export function isPeerClosed(fd: number): boolean {
  return (poll(fd, 0) & POLL.HUP) !== 0;
}

/** Attributes of a terminal; undefined where it has been hung up (EIO). @throws KernelError */
export function getTermios(fd: number): Termios | undefined {
  const bytes = new Uint8Array(TERMIOS2_SIZE);
  const result = rawSyscall(NR.ioctl, fd, TCGETS2, addressOf(bytes));
  if (result === -ERRNO.EIO) return undefined;
  checkResult(result, NR.ioctl, "TCGETS2");
  return decode(bytes);
}

/** Which attributes cannot be changed (TIOCGLCKTRMIOS). @throws KernelError */
export function getLockedTermios(fd: number): Termios {
  const bytes = new Uint8Array(TERMIOS2_SIZE);
  checkResult(rawSyscall(NR.ioctl, fd, TIOC.GLCKTRMIOS, addressOf(bytes)), NR.ioctl, "TIOCGLCKTRMIOS");
  return decode(bytes);
}

/** Whether a descriptor of ours is a terminal: isatty(3). */
export function isTerminal(fd: number): boolean {
  return rawSyscall(NR.ioctl, fd, TCGETS2, addressOf(new Uint8Array(TERMIOS2_SIZE))) >= 0;
}

/** Attributes that are known without speeds (TCGETS, TCSETS) leave those as they are. @throws KernelError */
export function setTermios(fd: number, termios: Termios): void {
  const { request, bytes } = termiosCall(termios);
  checkResult(rawSyscall(NR.ioctl, fd, request, addressOf(bytes)), NR.ioctl, "TCSETS");
}

/** @throws KernelError (EPERM: no CAP_SYS_ADMIN) */
export function setLockedTermios(fd: number, termios: Termios): void {
  const address = addressOf(encodeTermios(termios));
  checkResult(rawSyscall(NR.ioctl, fd, TIOC.SLCKTRMIOS, address), NR.ioctl, "TIOCSLCKTRMIOS");
}

/** The request that sets attributes, and what it reads: for calls that others make. */
export function termiosCall(termios: Termios): { readonly request: number; readonly bytes: Uint8Array } {
  const request = termios.ispeed === 0 && termios.ospeed === 0 ? TCSETS : TCSETS2;
  return { request, bytes: encodeTermios(termios) };
}

function decode(bytes: Uint8Array): Termios {
  const cc = [...bytes.subarray(CC_AT, CC_AT + NCCS)];
  return { ...head.decode(bytes), cc, ...speeds.decode(bytes, TERMIOS_SIZE) };
}

function encodeTermios(termios: Termios): Uint8Array {
  const bytes = new Uint8Array(TERMIOS2_SIZE);
  head.encodeInto(bytes, 0, termios);
  bytes.set(termios.cc.slice(0, NCCS), CC_AT);
  speeds.encodeInto(bytes, TERMIOS_SIZE, termios);
  return bytes;
}

/** @throws KernelError */
export function getWinsize(fd: number): Winsize {
  const bytes = new Uint8Array(winsizeOf.size);
  checkResult(rawSyscall(NR.ioctl, fd, TIOC.GWINSZ, addressOf(bytes)), NR.ioctl, "TIOCGWINSZ");
  return winsizeOf.decode(bytes);
}

/** @throws KernelError */
export function setWinsize(fd: number, size: Winsize): void {
  const bytes = encodeWinsize(size);
  checkResult(rawSyscall(NR.ioctl, fd, TIOC.SWINSZ, addressOf(bytes)), NR.ioctl, "TIOCSWINSZ");
}

/** What TIOCSWINSZ reads. */
export function encodeWinsize(size: Winsize): Uint8Array {
  return winsizeOf.encode(size);
}
