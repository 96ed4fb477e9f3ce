/** Credentials of a thread: ids, groups, capability sets, securebits, no_new_privs (credentials(7), capabilities(7)). */
import { Repeated } from "../images/repeated.ts";
import { CredsEntry } from "../images/schema/generated/process.ts";
import { keepBytes } from "../images/wire.ts";
import {
  CAP_SETGID,
  CAP_SETPCAP,
  CAP_SETUID,
  capsetArguments,
  hasCapability as isCapable,
} from "../linux/capability.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import { ourPid } from "../linux/ourselves.ts";
import { type Owners, SAME_OWNERS } from "../linux/owners.ts";
import { PR, PR_CAP_AMBIENT } from "../linux/prctl.ts";
import { readStatus, type TaskStatus } from "../linux/proc.ts";
import { syscall } from "../linux/syscall.ts";
import type { Calls } from "../tracee/table/calls.ts";
import type { Table } from "../tracee/table/table.ts";

/** SECBIT_KEEP_CAPS and SECBIT_NO_SETUID_FIXUP: a change of ids leaves the capabilities alone. */
export const SECBITS_WHILE_CHANGING = 0x10 | 0x04;
/** What the calls of a thread's credentials take in a table at most: some thirty, and two for each capability. */
const TABLE_BYTES = 6144;

function words(mask: string | undefined): number[] {
  const value = BigInt(`0x${mask ?? "0"}`);
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

/** Asks for what /proc does not tell of the thread that runs the table; `status` is the rest. */
export function askCredentials(table: Table): (status: TaskStatus, owners: Owners) => CredsEntry {
  const securebits = table.must("its securebits", NR.prctl, PR.GET_SECUREBITS, 0, 0, 0, 0);
  return (status, owners) => credentialsOf(status, securebits.value, owners);
}

const rights = new Repeated<CredsEntry>((entry) => keepBytes(CredsEntry, entry));

function credentialsOf(status: TaskStatus, secbits: number, owners: Owners): CredsEntry {
  if (owners !== SAME_OWNERS) return entryOf(status, secbits, owners);
  const key = `${secbits} ${status.lines("Uid", "Groups")} ${status.lines("CapInh", "NoNewPrivs")}`;
  return rights.of(key, () => entryOf(status, secbits, owners));
}

function entryOf(status: TaskStatus, secbits: number, owners: Owners): CredsEntry {
  const ids = (name: string, of: (id: number) => number) =>
    (status.get(name) ?? "").split("\t").map((word) => of(Number(word)));
  const [uid = 0, euid = 0, suid = 0, fsuid = 0] = ids("Uid", owners.uid);
  const [gid = 0, egid = 0, sgid = 0, fsgid = 0] = ids("Gid", owners.gid);
  const entry: CredsEntry = {
    uid,
    gid,
    euid,
    egid,
    suid,
    sgid,
    fsuid,
    fsgid,
    cap_inh: words(status.get("CapInh")),
    cap_prm: words(status.get("CapPrm")),
    cap_eff: words(status.get("CapEff")),
    cap_bnd: words(status.get("CapBnd")),
    secbits,
    groups: (status.get("Groups") ?? "")
      .split(" ")
      .filter((word) => word !== "")
      .map((word) => owners.gid(Number(word))),
    cap_amb: words(status.get("CapAmb")),
  };
  if (status.get("NoNewPrivs") === "1") entry.no_new_privs = 1;
  return entry;
}

/** A set of capabilities as one number. */
export function setOf([low = 0, high = 0]: readonly number[]): bigint {
  return BigInt(low) | (BigInt(high) << 32n);
}

function hasCapability(set: readonly number[], capability: number): boolean {
  return (((set[capability >>> 5] ?? 0) >>> (capability & 31)) & 1) === 1;
}

/**
 * What everything of ours is born with, if we may not give it anything else: then only what differs is asked for, and the kernel
 * says which of that it does not allow. Undefined if we may.
 */
const ownWithoutPrivilege: () => CredsEntry | undefined = oncePerRun(() => {
  const needed = [CAP_SETGID, CAP_SETUID, CAP_SETPCAP];
  if (needed.every((each) => isCapable(each))) return undefined;
  const securebits = syscall("of ours", NR.prctl, PR.GET_SECUREBITS, 0, 0, 0, 0);
  return entryOf(readStatus(ourPid()), securebits, SAME_OWNERS);
});

function giveAnyIds(table: Calls, entry: CredsEntry, lastCapability: number, keepsGroups: boolean): void {
  const prctl = (object: string, option: number, a = 0) => table.must(object, NR.prctl, option, a, 0, 0, 0);
  table.reserve(TABLE_BYTES + entry.groups.length * 4);
  prctl("securebits", PR.SET_SECUREBITS, SECBITS_WHILE_CHANGING);
  const groups = new Uint8Array(new Uint32Array(entry.groups).buffer);
  if (!keepsGroups)
    table.must("groups", NR.setgroups, entry.groups.length, groups.length === 0 ? 0 : table.data(groups));
  table.must("group ids", NR.setresgid, entry.gid, entry.egid, entry.sgid);
  table.call(NR.setfsgid, entry.fsgid);
  table.must("user ids", NR.setresuid, entry.uid, entry.euid, entry.suid);
  table.call(NR.setfsuid, entry.fsuid);
  for (let capability = 0; capability <= lastCapability; capability++) {
    if (!hasCapability(entry.cap_bnd, capability))
      prctl(`capability ${capability}`, PR.CAPBSET_DROP, capability);
  }
  prctl("securebits", PR.SET_SECUREBITS, entry.secbits);
}

/** Ids and what limits capabilities, where they are not as our own. */
function giveNoneBut(
  table: Calls,
  entry: CredsEntry,
  own: CredsEntry,
  lastCapability: number,
  keepsGroups: boolean,
): void {
  table.reserve(TABLE_BYTES + entry.groups.length * 4);
  if (!keepsGroups && String(entry.groups) !== String(own.groups)) {
    const groups = new Uint8Array(new Uint32Array(entry.groups).buffer);
    table.must("groups", NR.setgroups, entry.groups.length, groups.length === 0 ? 0 : table.data(groups));
  }
  const sameGroup = entry.gid === own.gid && entry.egid === own.egid && entry.sgid === own.sgid;
  if (!sameGroup) table.must("group ids", NR.setresgid, entry.gid, entry.egid, entry.sgid);
  if (!sameGroup || entry.fsgid !== own.fsgid) table.call(NR.setfsgid, entry.fsgid);
  const sameUser = entry.uid === own.uid && entry.euid === own.euid && entry.suid === own.suid;
  if (!sameUser) table.must("user ids", NR.setresuid, entry.uid, entry.euid, entry.suid);
  if (!sameUser || entry.fsuid !== own.fsuid) table.call(NR.setfsuid, entry.fsuid);
  for (let capability = 0; capability <= lastCapability; capability++) {
    if (hasCapability(own.cap_bnd, capability) && !hasCapability(entry.cap_bnd, capability))
      table.must(`capability ${capability}`, NR.prctl, PR.CAPBSET_DROP, capability, 0, 0, 0);
  }
  if (entry.secbits !== own.secbits)
    table.must("securebits", NR.prctl, PR.SET_SECUREBITS, entry.secbits, 0, 0, 0);
}

/**
 * Gives a thread its credentials. Comes after everything that needs privilege; parent-death signal and dumpable come
 * after it, because a change of ids clears them (prctl(2)). `lastCapability` is the kernel's highest.
 */
export function giveCredentials(
  table: Calls,
  entry: CredsEntry,
  lastCapability: number,
  keepsGroups = false,
): void {
  const own = ownWithoutPrivilege();
  if (own === undefined) giveAnyIds(table, entry, lastCapability, keepsGroups);
  else giveNoneBut(table, entry, own, lastCapability, keepsGroups);
  const prctl = (object: string, option: number, a = 0, b = 0) =>
    table.must(object, NR.prctl, option, a, b, 0, 0);
  const [header, data] = capsetArguments({
    effective: setOf(entry.cap_eff),
    permitted: setOf(entry.cap_prm),
    inheritable: setOf(entry.cap_inh),
  });
  table.must("capabilities", NR.capset, table.data(header), table.data(data));
  table.call(NR.prctl, PR.CAP_AMBIENT, PR_CAP_AMBIENT.CLEAR_ALL, 0, 0, 0);
  for (let capability = 0; capability <= lastCapability; capability++) {
    if (hasCapability(entry.cap_amb, capability)) {
      prctl(`ambient capability ${capability}`, PR.CAP_AMBIENT, PR_CAP_AMBIENT.RAISE, capability);
    }
  }
  if ((entry.no_new_privs ?? 0) !== 0) prctl("no_new_privs", PR.SET_NO_NEW_PRIVS, 1);
}
