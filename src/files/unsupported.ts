/** Naming what cannot be dumped yet, so that the user knows what to look for in the program. */
import { S } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { viewOf } from "../linux/struct.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import { FileDumpError } from "./errors.ts";
import type { OpenFile } from "./open-file.ts";

const SOL_SOCKET = 1;
const SO_DOMAIN = 39;
const SO_TYPE = 3;
const FAMILIES = new Map([
  [1, "a Unix"],
  [2, "an IPv4"],
  [10, "an IPv6"],
  [16, "a netlink"],
  [17, "a packet"],
  [38, "a kernel crypto"],
  [40, "a VM"],
]);
const TYPES = new Map([
  [1, "stream"],
  [2, "datagram"],
  [3, "raw"],
  [5, "sequenced packet"],
]);
/** The major numbers of terminals (include/uapi/linux/major.h): tty and console, ptmx, serial, pseudo terminals. */
const isTerminal = (major: number) =>
  major === 4 || major === 5 || major === 204 || (major >= 136 && major <= 143);

export function unsupported(file: OpenFile): FileDumpError {
  return new FileDumpError(`${file.where}: ${describe(file)} (${file.link}) cannot be dumped yet`);
}

function describe(file: OpenFile): string {
  const { rdevMajor, rdevMinor } = file.fullStatus;
  switch (file.format) {
    case S.IFSOCK: {
      const family = FAMILIES.get(socketOption(file, SO_DOMAIN)) ?? "a";
      const type = TYPES.get(socketOption(file, SO_TYPE)) ?? "";
      return `${family} ${type === "" ? "" : `${type} `}socket`;
    }
    case S.IFCHR:
      return isTerminal(rdevMajor)
        ? "a terminal"
        : `the character device ${rdevMajor}:${rdevMinor}, whose state nobody can tell`;
  }
  const anonymous = /^(?:anon_inode:)?\[?([a-z_-]+)\]?(?::|$)/.exec(file.link)?.[1];
  if (anonymous === undefined) return "a file of unknown kind";
  if (/^(cgroup|ipc|mnt|net|pid|time|user|uts)(_for_children)?$/.test(anonymous)) {
    return `a namespace descriptor of kind ${anonymous}`;
  }
  return `${/^[aeio]/.test(anonymous) ? "an" : "a"} ${anonymous} descriptor`;
}

function socketOption(file: OpenFile, option: number): number {
  const bytes = new Uint8Array(8);
  const address = addressOf(bytes);
  viewOf(bytes).setInt32(4, 4, true);
  const result = rawSyscall(NR.getsockopt, file.copy, SOL_SOCKET, option, address, address + 4);
  return result < 0 ? -1 : viewOf(bytes).getInt32(0, true);
}
