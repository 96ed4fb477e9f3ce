/** Which terminal a device number is of (Documentation/admin-guide/devices.txt). */
import { TtyType } from "../../images/schema/generated/files.ts";

const MAJOR = {
  TTY: 4,
  AUXILIARY: 5,
  PTY_MASTER: 128,
  PTY_SLAVE: 136,
  USB_SERIAL: 188,
  LOW_DENSITY_SERIAL: 204,
} as const;
const PTY_MAJORS = 8;
const MINORS = 256;
const LAST_CONSOLE = 63;

export interface Driver {
  readonly type: TtyType;
  readonly isMaster: boolean;
  /** Of a slave: its number in devpts. */
  readonly index: number | undefined;
}

/** Undefined where it is no terminal. */
export function driverOf(major: number, minor: number): Driver | undefined {
  const simple = (type: TtyType): Driver => ({ type, isMaster: false, index: undefined });
  if (major === MAJOR.AUXILIARY) {
    if (minor === 0) return simple(TtyType.CTTY);
    if (minor === 1) return simple(TtyType.CONSOLE);
    if (minor === 2) return { type: TtyType.PTY, isMaster: true, index: undefined };
    return undefined;
  }
  if (major === MAJOR.TTY) return simple(minor <= LAST_CONSOLE ? TtyType.VT : TtyType.SERIAL);
  if (major >= MAJOR.PTY_MASTER && major < MAJOR.PTY_MASTER + PTY_MAJORS)
    return { type: TtyType.PTY, isMaster: true, index: undefined };
  if (major >= MAJOR.PTY_SLAVE && major < MAJOR.PTY_SLAVE + PTY_MAJORS)
    return { type: TtyType.PTY, isMaster: false, index: (major - MAJOR.PTY_SLAVE) * MINORS + minor };
  if (major === MAJOR.USB_SERIAL || major === MAJOR.LOW_DENSITY_SERIAL) return simple(TtyType.SERIAL);
  return undefined;
}
