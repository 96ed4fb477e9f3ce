/** Processes as /proc shows them: the tree below a pid, its end, its leftovers, and a byte snapshot of its state. */

import { dlopen, FFIType } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const __WALL = 0x40000000;

const libc = dlopen("libc.so.6", {
  prctl: { args: [FFIType.i32, FFIType.u64, FFIType.u64, FFIType.u64, FFIType.u64], returns: FFIType.i32 },
  waitpid: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
});

/**
 * Makes this process the one that orphans fall to. A restored tree, whose restorer has gone, then is a child of ours,
 * and its zombies are ours to reap, whatever kind of init this machine has.
 */
export function adoptOrphans(): void {
  libc.symbols.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n);
}

const waitStatus = new Int32Array(1);

/** Reaps a child of ours that has ended: its wait status, or undefined when it lives or is not our child. */
export function reap(pid: number): number | undefined {
  return libc.symbols.waitpid(pid, waitStatus, WNOHANG | __WALL) === pid ? (waitStatus[0] ?? 0) : undefined;
}

/** A text file, or undefined where it is gone or may not be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

const byNumber = (a: string, b: string) => Number(a) - Number(b);

/** The thread ids of a process, in order; empty when it is gone. */
export function threadsOf(pid: number): number[] {
  return list(`/proc/${pid}/task`).sort(byNumber).map(Number);
}

/** Has this process a capability, by its number, in effect? */
export function hasCapability(number: number): boolean {
  const [, mask = "0"] = readText("/proc/self/status")?.match(/^CapEff:\t([0-9a-f]+)$/m) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(number)) & 1n) === 1n;
}

/** The children of all threads of a process, zombies included. */
export function childrenOf(pid: number): number[] {
  const words = threadsOf(pid).flatMap((tid) =>
    (readText(`/proc/${pid}/task/${tid}/children`) ?? "").split(" "),
  );
  return words.filter((word) => word !== "").map(Number);
}

/** The pids of a tree, parents before children: the root and all its descendants, zombies included. */
export function processTree(root: number): number[] {
  if (readText(`/proc/${root}/stat`) === undefined) return [];
  const tree = [root];
  for (let at = 0; at < tree.length; at++) tree.push(...childrenOf(tree[at] ?? 0));
  return tree;
}

/** Is a process below us? Only such ones are killed: a pid noted earlier may be a stranger's by now. */
function isOurs(pid: number): boolean {
  for (let at = pid; at > 1; ) {
    if (at === process.pid) return true;
    const stat = readText(`/proc/${at}/stat`);
    at = Number(stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
  }
  return false;
}

/** The one letter of a process's state (R, S, T, Z, ...), or undefined when it is gone. */
export function processState(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}

/** Start time in clock ticks after boot; with the pid it names one process for ever. */
export function startTime(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

/** Kills and reaps the given processes, and what they have given birth to meanwhile. Never throws. */
export async function killAll(pids: Iterable<number>): Promise<void> {
  const doomed = new Set(pids);
  for (let round = 0; round < 2000; round++) {
    for (const pid of [...doomed]) for (const child of processTree(pid)) doomed.add(child);
    let alive = 0;
    for (const pid of doomed) {
      if (processState(pid) === undefined || !isOurs(pid)) continue;
      try {
        process.kill(pid, "SIGKILL");
      } catch {}
      reapOrphan(pid);
      if (processState(pid) !== undefined) alive++;
    }
    if (alive === 0) return;
    await Bun.sleep(1);
  }
}

/** What Bun.spawn has started and Bun itself is to reap, until it has. */
const startedHere = new Set<number>();

/** Leaves the reaping of a child to Bun, which started it. */
export function leaveToBun(child: { pid: number; exited: Promise<number> }): void {
  startedHere.add(child.pid);
  void child.exited.finally(() => startedHere.delete(child.pid));
}

function reapOrphan(pid: number): number | undefined {
  return startedHere.has(pid) ? undefined : reap(pid);
}

const strays = new Map<number, number>();

/**
 * Reaps zombies that fell to us as orphans: processes of a tree that nobody had seen before they died. What Bun has
 * started it reaps itself, at once; so a zombie that stays is an orphan.
 *
 * @returns how many zombies there are still
 */
export function reapOrphans(): number {
  const zombies = childrenOf(process.pid).filter((pid) => processState(pid) === "Z");
  for (const pid of [...strays.keys()]) if (!zombies.includes(pid)) strays.delete(pid);
  let left = 0;
  for (const pid of zombies) {
    const since = strays.get(pid) ?? performance.now();
    strays.set(pid, since);
    if (performance.now() - since < 10 || reapOrphan(pid) === undefined) left++;
  }
  return left;
}

/** Waits until the processes are gone, reaping those that are ours; the ones left over after `timeoutMs`. */
export async function waitGone(pids: number[], timeoutMs = 5000): Promise<number[]> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    for (const pid of pids) reapOrphan(pid);
    const left = pids.filter((pid) => processState(pid) !== undefined);
    if ((left.length === 0 && reapOrphans() === 0) || Date.now() > end) return left;
    await Bun.sleep(1);
  }
}

// Fields of /proc/PID/status that move although nobody touches the process.
const restless =
  /^(State|VmPeak|VmHWM|VmRSS|RssAnon|RssFile|RssShmem|VmPTE|VmSwap|voluntary_ctxt_switches|nonvoluntary_ctxt_switches|SigQ|FDSize|TracerPid|VmLib|VmData|VmSize|HugetlbPages)$/;

function statusLines(text: string, alsoMoving: boolean): string {
  return text
    .split("\n")
    .filter((line) => alsoMoving || !restless.test(line.slice(0, line.indexOf(":"))))
    .join("\n");
}

/** A map from the name of a view ("pid/maps", "pid/fd/3", "pid/task/tid/status", ...) to its text. */
export type Snapshot = Map<string, string>;

/**
 * What /proc shows of a tree: maps with their flags, descriptors, signal state, limits, timers, credentials, names.
 * Left out is what moves by itself in a process that runs (counters, times, resident sizes), so that two snapshots
 * of an untouched tree that sleeps are equal byte for byte.
 *
 * @param root the tree's root
 * @returns views by name; the names hold the pids
 */
export function snapshotProc(root: number): Snapshot {
  const shot: Snapshot = new Map();
  const put = (name: string, text: string | undefined) => shot.set(name, text ?? "(unreadable)");
  const tree = processTree(root);
  put("tree", tree.join(" "));
  for (const pid of tree) {
    const proc = `/proc/${pid}`;
    const zombie = processState(pid) === "Z";
    for (const view of [
      "cmdline",
      "environ",
      "limits",
      "timers",
      "oom_score_adj",
      "loginuid",
      "coredump_filter",
    ])
      put(`${pid}/${view}`, readText(`${proc}/${view}`));
    for (const view of ["maps", "auxv", "timerslack_ns", "personality"])
      put(`${pid}/${view}`, zombie ? "" : readText(`${proc}/${view}`));
    // What another test mounts meanwhile is no concern of this tree.
    const mounts = zombie ? "" : readText(`${proc}/mountinfo`);
    put(`${pid}/mountinfo`, mounts?.replaceAll(/^.* criu-ts-test .*\n/gm, ""));
    // Of smaps only what the program has asked for; how much is resident moves with the page cache.
    const smaps = zombie ? "" : (readText(`${proc}/smaps`) ?? "(unreadable)");
    put(
      `${pid}/smaps`,
      smaps
        .split("\n")
        .filter((line) => /^[0-9a-f]+-|^VmFlags:/.test(line))
        // That writes are tracked is the kernel's matter; tests/pre-dump.test.ts looks at that.
        .map((line) => (line.startsWith("VmFlags:") ? line.replace(" uw", "") : line))
        .join("\n"),
    );
    for (const link of ["cwd", "root", "exe"]) put(`${pid}/${link}`, readLink(`${proc}/${link}`));
    for (const fd of list(`${proc}/fd`).sort(byNumber)) {
      put(`${pid}/fd/${fd}`, readLink(`${proc}/fd/${fd}`));
      put(`${pid}/fdinfo/${fd}`, readText(`${proc}/fdinfo/${fd}`));
    }
    // ppid, pgrp, session of stat; the rest of it moves or is shown better elsewhere.
    const stat = readText(`${proc}/stat`) ?? "";
    put(
      `${pid}/stat`,
      (zombie ? "Z " : "") +
        stat
          .slice(stat.lastIndexOf(")") + 4)
          .split(" ")
          .slice(0, 3)
          .join(" "),
    );
    for (const tid of threadsOf(pid)) {
      const task = `${proc}/task/${tid}`;
      put(`${pid}/task/${tid}/status`, statusLines(readText(`${task}/status`) ?? "(unreadable)", false));
      put(`${pid}/task/${tid}/comm`, readText(`${task}/comm`));
      put(`${pid}/task/${tid}/stopped`, /^[Tt]$/.test(processStateOf(task)) ? "stopped" : "not stopped");
      const fields = (readText(`${task}/stat`) ?? "").replace(/^.*\) /s, "").split(" ");
      // exit signal, rt priority, policy, priority, nice
      put(`${pid}/task/${tid}/sched`, [fields[35], fields[37], fields[38], fields[15], fields[16]].join(" "));
    }
  }
  return shot;
}

function processStateOf(task: string): string {
  const stat = readText(`${task}/stat`) ?? "";
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}

/**
 * The mappings of an smaps view, one a line, without inodes, neighbours that go on from each other as one. They part
 * where one has been writable for a moment (flag "ac", which is left out too), and that moment has no meaning; nor has "sd", by
 * which the kernel notes what is new.
 */
function mergedMappings(smaps: string): string {
  interface Mapping {
    start: number;
    end: number;
    offset: number;
    rest: string;
  }
  const merged: Mapping[] = [];
  const line = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ \d+ *(.*)\n(?:VmFlags: (.*))?/gm;
  for (const [, start = "", end = "", permissions, offset = "", name = "", flags = ""] of smaps.matchAll(
    line,
  )) {
    const ofFile = name.startsWith("/");
    const told = flags.split(" ").filter((flag) => !["ac", "sd", ""].includes(flag));
    const object = name.endsWith(" (deleted)") ? "(deleted)" : name.replace(/^socket:\[\d+\]$/, "socket");
    const rest = `${permissions} ${object} ${told.join(" ")}`;
    const next = {
      start: Number.parseInt(start, 16),
      end: Number.parseInt(end, 16),
      offset: Number.parseInt(offset, 16),
      rest,
    };
    const last = merged.at(-1);
    const goesOn = last !== undefined && last.end === next.start && last.rest === next.rest;
    if (goesOn && (!ofFile || last.offset + last.end - last.start === next.offset)) last.end = next.end;
    else merged.push(next);
  }
  const hex = (value: number) => value.toString(16);
  return merged
    .map(({ start, end, offset, rest }) => `${hex(start)}-${hex(end)} ${hex(offset)} ${rest}`)
    .join("\n");
}

/** What an epoll instance watches, in an order of our own: the kernel's is that of addresses. Inodes may be new. */
function withSortedTargets(fdinfo: string): string {
  const targets = fdinfo.match(/^tfd:.*$/gm);
  if (targets === null) return fdinfo;
  const sorted = targets.map((line) => line.replace(/ {2}pos:.*$/, "")).sort();
  return fdinfo.replace(/^tfd:[\s\S]*$/m, sorted.join("\n"));
}

/**
 * A snapshot without what a restored tree cannot have as it was: inode numbers of objects made anew (pipes, deleted
 * files, shared memory) and the ids the kernel gives to mounts and eventfds.
 */
export function ofOneLife(shot: Snapshot): Snapshot {
  const plain: Snapshot = new Map();
  for (const [name, text] of shot) {
    const view = name.replace(/^\d+\//, "").replace(/\/.*$/, "");
    let told = text;
    const zombie = shot.get(`${name.split("/")[0]}/stat`)?.startsWith("Z") === true;
    if (zombie && (view === "limits" || view === "coredump_filter")) continue; // nothing shows or uses them any more
    if (zombie && name.endsWith("/status"))
      told = text
        .split("\n")
        .filter((line) => /^(Name|Tgid|Pid|PPid|NSpgid|NSsid):/.test(line))
        .join("\n");
    else if (view === "tree") told = text.split(" ").sort().join(" ");
    else if (view === "maps")
      continue; // smaps tells more
    else if (view === "smaps") told = mergedMappings(text);
    else if (view === "fd") told = text.replace(/\[\d+\]$/, "").replace(/^.*\/.* \(deleted\)$/, "(deleted)");
    else if (view === "fdinfo")
      told = withSortedTargets(text)
        .replaceAll(/^(ino|mnt_id|eventfd-id):.*\n/gm, "")
        // O_NOFOLLOW has said its word when the file was opened; one without a name can only be opened through a link.
        .replace(
          /^flags:\t(0\d+)$/m,
          (_, flags) => `flags:\t0${(Number.parseInt(flags, 8) & ~0o400000).toString(8)}`,
        )
        // A file made without a name (O_TMPFILE, which holds O_DIRECTORY) is opened another way the second time.
        .replace(
          /^flags:\t(0[2367]\d{7})$/m,
          (_, flags) => `flags:\t0${(Number.parseInt(flags, 8) & ~0o20200000).toString(8)}`,
        );
    else if (view === "mountinfo") continue;
    plain.set(name, told);
  }
  return plain;
}

/** The differences of two snapshots, a paragraph each, empty when they are equal. */
export function compareSnapshots(before: Snapshot, after: Snapshot): string[] {
  const differences: string[] = [];
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(name), after.get(name)];
    if (was === is) continue;
    if (was === undefined || is === undefined) {
      differences.push(`${name}: ${was === undefined ? "new" : "gone"}: ${(was ?? is ?? "").slice(0, 200)}`);
      continue;
    }
    const wasLines = was.split("\n");
    const isLines = is.split("\n");
    const lost = wasLines.filter((line) => !isLines.includes(line)).slice(0, 4);
    const won = isLines.filter((line) => !wasLines.includes(line)).slice(0, 4);
    differences.push(
      [`${name}:`, ...lost.map((line) => `  - ${line}`), ...won.map((line) => `  + ${line}`)].join("\n"),
    );
  }
  return differences;
}
