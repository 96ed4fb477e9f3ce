/** Mounting a file system anew by fsopen(2): from what an image has of it to the calls, made by us or inside a process. */
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { attrsOf, FSCONFIG, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from "../../linux/mount.ts";
import { type MountInfo, SUPER_FLAGS, splitOptions, unescapePath } from "../../linux/mountinfo.ts";
import { NR } from "../../linux/nr.ts";
import { addressOf, cString, nameAddress, rawSyscall, syscall } from "../../linux/syscall.ts";
import { bytesToText } from "../../linux/text.ts";
import type { Result, Table } from "../../tracee/table/table.ts";
import { nameOf } from "./tree.ts";

/** Options that the kernel shows and does not take. */
const SHOWN_ONLY: ReadonlySet<string> = new Set(["seclabel"]);

/** A parameter of a file system; without a value it is a flag. */
export interface Parameter {
  readonly key: string;
  readonly value: string | undefined;
}

/** What to tell a file system before it is made. `flags` of the super block are among it where `withFlags` says so. */
export function parametersOf(
  { source, options, superFlags }: Pick<MountInfo, "source" | "options" | "superFlags">,
  withFlags: (flag: number) => boolean,
): Parameter[] {
  const parameters: Parameter[] = [];
  if (source !== "") parameters.push({ key: "source", value: source });
  for (const [key, flag] of SUPER_FLAGS) {
    if ((superFlags & flag) !== 0 && withFlags(flag)) parameters.push({ key, value: undefined });
  }
  for (const option of splitOptions(options)) {
    const [, key = option, value] = /^([^=]*)=(.*)$/s.exec(option) ?? [];
    if (SHOWN_ONLY.has(key)) continue;
    parameters.push({ key, value: value === undefined ? undefined : unescapePath(unquoted(value)) });
  }
  return parameters;
}

function unquoted(value: string): string {
  return /^".*"$/s.test(value) ? value.slice(1, -1) : value;
}

/** A file system that is to be mounted in a table, and what came of it. */
export interface Mounted {
  readonly context: Result;
  readonly fd: Result;
}

/** Adds to a table: mount a file system. Results tell of failures. */
export function addMount(
  table: Table,
  what: string,
  fsName: string,
  parameters: readonly Parameter[],
  flags: number,
): Mounted {
  const context = table.must(what, NR.fsopen, table.data(cString(fsName)), FSOPEN_CLOEXEC);
  for (const { key, value } of parameters) {
    const name = table.data(cString(key));
    const object = `${what}: ${key}${value === undefined ? "" : `=${value}`}`;
    if (value === undefined) table.must(object, NR.fsconfig, context, FSCONFIG.SET_FLAG, name, 0, 0);
    else table.must(object, NR.fsconfig, context, FSCONFIG.SET_STRING, name, table.data(cString(value)), 0);
  }
  table.must(what, NR.fsconfig, context, FSCONFIG.CREATE, 0, 0, 0);
  const fd = table.must(what, NR.fsmount, context, FSMOUNT_CLOEXEC, attrsOf(flags));
  table.must(what, NR.close, context);
  return { context, fd };
}

/** Mounts a file system ourselves; the descriptor is the caller's. @throws KernelError with what the file system says */
export function mountHere(what: string, fsName: string, parameters: readonly Parameter[], flags: number): Fd {
  using context = Fd.own(syscall(`${what}: ${fsName}`, NR.fsopen, nameAddress(fsName), FSOPEN_CLOEXEC));
  const check = (result: number, call: string): number => {
    if (result >= 0) return result;
    throw new KernelError(call, `${what}${saidBy(context.number)}`, -result);
  };
  for (const { key, value } of parameters) {
    const name = nameAddress(key);
    const result =
      value === undefined
        ? rawSyscall(NR.fsconfig, context.number, FSCONFIG.SET_FLAG, name, 0, 0)
        : rawSyscall(NR.fsconfig, context.number, FSCONFIG.SET_STRING, name, nameAddress(value, 1), 0);
    check(result, `fsconfig ${key}`);
  }
  check(rawSyscall(NR.fsconfig, context.number, FSCONFIG.CREATE, 0, 0, 0), "fsconfig");
  return Fd.own(check(rawSyscall(NR.fsmount, context.number, FSMOUNT_CLOEXEC, attrsOf(flags)), "fsmount"));
}

/** What a file system has to say of a failure, a line for each message. */
export function saidBy(context: number): string {
  const bytes = new Uint8Array(1024);
  const messages: string[] = [];
  for (;;) {
    const got = rawSyscall(NR.read, context, addressOf(bytes), bytes.length);
    if (got <= 0 || got === -ERRNO.ENODATA) break;
    messages.push(bytesToText(bytes.subarray(0, got)).trim());
  }
  return messages.length === 0 ? "" : ` (${messages.join("; ")})`;
}

/** For messages. */
export function describe(mount: MountInfo): string {
  return `${nameOf(mount)}, ${mount.type}`;
}
