/**
 * Rules of x_tables, the older kind: iptables-ID.img and ip6tables-ID.img, as iptables-save writes them. Rules that the newer
 * iptables makes are nf_tables' (nftables.ts).
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { fileName, RAW_IMAGES, type RawKind } from "../../images/kinds.ts";
import { AT, O } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { cString } from "../../linux/syscall.ts";
import { textOf } from "../../linux/text.ts";
import type { Table } from "../../tracee/table/table.ts";
import { answerOf, NetProgramError, readTextImage, runWithText, textIn, writeText } from "./programs.ts";

interface Family {
  readonly image: RawKind;
  /** What the programs' names begin with. */
  readonly name: string;
  /** Names of the tables that there are in the namespace of the reader. */
  readonly tables: string;
}

const FAMILIES: readonly Family[] = [
  { image: RAW_IMAGES.iptables, name: "iptables", tables: "/proc/net/ip_tables_names" },
  { image: RAW_IMAGES.ip6tables, name: "ip6tables", tables: "/proc/net/ip6_tables_names" },
];
const NAMES_SIZE = 512;

/** The program of the older kind, by whatever name it is there. @throws NetProgramError */
function programOf({ name }: Family, action: "save" | "restore"): string {
  for (const program of [`${name}-legacy-${action}`, `${name}-${action}`]) {
    const version = answerOf([program, "--version"]);
    if (version !== undefined && !version.includes("nf_tables")) return program;
  }
  throw new NetProgramError(
    `there are rules of the older iptables, and no ${name}-legacy-${action} to ${action} them`,
  );
}

/** Whether there is a table of a family where calls of `table` are made. @throws KernelError */
function hasTables(table: Table, path: string): boolean {
  const fd = table.call(NR.openat, AT.FDCWD, table.data(cString(path)), O.RDONLY | O.CLOEXEC, 0);
  const space = table.space(NAMES_SIZE);
  const length = table.call(NR.read, fd, space.address, NAMES_SIZE);
  table.call(NR.close, fd);
  table.run();
  return !length.failed && textOf(space.bytes, 0, length.raw).trim() !== "";
}

/** `table` makes calls in the namespace. @throws NetProgramError, KernelError, ImageError */
export function dumpIptables(images: ImageDir, id: number, namespace: number, table: Table): void {
  for (const family of FAMILIES) {
    const text = hasTables(table, family.tables) ? textIn(namespace, [programOf(family, "save")]) : "";
    writeText(images, family.image, id, text);
  }
}

/** A lock that CRIU had put before it saved the rules: its chain, jumps to it, and its rules. */
const LOCK_LINE = /^(:CRIU |-A CRIU |-A (INPUT|OUTPUT) -j CRIU$)/;

/** @throws NetProgramError, KernelError, ImageError */
export function restoreIptables(images: ImageDir, id: number, namespace: number): void {
  for (const family of FAMILIES) {
    const lines = readTextImage(images, family.image, id).split("\n");
    const text = lines.filter((line) => !LOCK_LINE.test(line)).join("\n");
    if (text === "") continue;
    runWithText(namespace, [programOf(family, "restore"), "-w"], text, fileName(family.image, id));
  }
}
