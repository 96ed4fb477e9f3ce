/**
 * Terminals: ptys, /dev/tty, consoles, serial lines. An open file is an entry of files.img that names its path and its terminal,
 * of which tty-info.img tells the attributes, session and foreground group, and tty-data.img what waits.
 */
import { FdTypes } from "../../images/schema/generated/files.ts";
import { S } from "../../linux/io.ts";
import type { FileKind } from "../kind.ts";
import { driverOf } from "./driver.ts";
import { TtyDump } from "./dump.ts";
import { TtyRestore } from "./restore.ts";

export const tty: FileKind = {
  type: FdTypes.TTY,
  recognises: (file) =>
    file.format === S.IFCHR &&
    !file.isPath &&
    driverOf(file.fullStatus.rdevMajor, file.fullStatus.rdevMinor) !== undefined,
  dumper: (context) => new TtyDump(context),
  restorer: (context) => new TtyRestore(context),
};
