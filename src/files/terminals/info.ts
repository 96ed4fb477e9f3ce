/** A terminal in tty-info.img: one entry for each end of a pty. */
import type { TermiosEntry, TtyInfoEntry, WinsizeEntry } from "../../images/schema/generated/files.ts";
import { NCCS, type Termios, type Winsize } from "../../linux/tty.ts";
import { FileRestoreError } from "../errors.ts";

/** Pairs have numbers below this one: CRIU's limit. */
export const MAX_PAIRS = 1024;

/** The entry's number of an end of a pair. */
export function infoId(pair: number, isMaster: boolean): number {
  return 2 * pair + (isMaster ? 1 : 0);
}

/** The pair that an entry of a pty is of. */
export function pairOf(id: number): number {
  return id >> 1;
}

export function isMasterId(id: number): boolean {
  return (id & 1) === 1;
}

export function toTermiosEntry(termios: Termios): TermiosEntry {
  const { iflag, oflag, cflag, lflag, line, ispeed, ospeed, cc } = termios;
  return {
    c_iflag: iflag,
    c_oflag: oflag,
    c_cflag: cflag,
    c_lflag: lflag,
    c_line: line,
    c_ispeed: ispeed,
    c_ospeed: ospeed,
    c_cc: [...cc],
  };
}

/** @throws FileRestoreError */
export function fromTermiosEntry(entry: TermiosEntry, id: number): Termios {
  if (entry.c_cc.length < NCCS)
    throw new FileRestoreError(`tty-info.img: terminal ${id}: ${entry.c_cc.length} control characters`);
  return {
    iflag: entry.c_iflag,
    oflag: entry.c_oflag,
    cflag: entry.c_cflag,
    lflag: entry.c_lflag,
    line: entry.c_line,
    ispeed: entry.c_ispeed,
    ospeed: entry.c_ospeed,
    cc: entry.c_cc,
  };
}

export function toWinsizeEntry({ row, col, xpixel, ypixel }: Winsize): WinsizeEntry {
  return { ws_row: row, ws_col: col, ws_xpixel: xpixel, ws_ypixel: ypixel };
}

export function fromWinsizeEntry({ ws_row, ws_col, ws_xpixel, ws_ypixel }: WinsizeEntry): Winsize {
  return { row: ws_row, col: ws_col, xpixel: ws_xpixel, ypixel: ws_ypixel };
}

/** One that was hung up has no attributes any more. */
export function isHungUp({ termios }: TtyInfoEntry): boolean {
  return termios === undefined;
}
