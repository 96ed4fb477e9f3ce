/** Readers of /proc, one per file, each giving the fields in the kernel's own words (proc(5)). */

import { ERRNO, isErrno, KernelError } from "./errno.ts";
import { listNumbers, readPiece, readSteps, readText } from "./io.ts";
import { oncePerRun } from "./once-per-run.ts";
import { ourPid } from "./ourselves.ts";
import { type HostPid, hostPid } from "./pid.ts";
import { readTexts } from "./read-many.ts";

/** /proc/PID/stat of a process or, with `tid`, of one thread. */
export interface TaskStat {
  readonly comm: string;
  readonly state: string;
  readonly ppid: HostPid;
  readonly pgrp: HostPid;
  readonly session: HostPid;
  /** Its controlling terminal as stat(2) packs device numbers, 0 for none, and the foreground group there, -1 for none. */
  readonly terminal: number;
  readonly foreground: number;
  readonly flags: number;
  /** Of the whole process, those included that are ending. */
  readonly threadCount: number;
  /** When it began, in ticks since the machine was started. */
  readonly startTime: number;
  /** The signal that its parent gets at its end, 0 for none; -1 of a thread, and of what nobody is to wait for. */
  readonly exitSignal: number;
  readonly startCode: number;
  readonly endCode: number;
  readonly startStack: number;
  readonly startData: number;
  readonly endData: number;
  readonly startBrk: number;
  readonly argStart: number;
  readonly argEnd: number;
  readonly envStart: number;
  readonly envEnd: number;
  readonly exitCode: number;
}

function taskPath(pid: HostPid, tid: HostPid | undefined, file: string): string {
  return tid === undefined ? `/proc/${pid}/${file}` : `/proc/${pid}/task/${tid}/${file}`;
}

export function readStat(pid: HostPid, tid?: HostPid): TaskStat {
  return parseStat(readPiece(taskPath(pid, tid, "stat")));
}

/** The text of /proc/PID/stat. */
export function parseStat(text: string): TaskStat {
  // The name may hold spaces and parentheses; it ends at the last one.
  const close = text.lastIndexOf(")");
  // The first of these is the state, field 3 of proc(5).
  const fields = text.slice(close + 2).split(" ");
  return {
    comm: text.slice(text.indexOf("(") + 1, close),
    state: fields[0] ?? "?",
    ppid: hostPid(Number(fields[1])),
    pgrp: hostPid(Number(fields[2])),
    session: hostPid(Number(fields[3])),
    terminal: Number(fields[4]),
    foreground: Number(fields[5]),
    flags: Number(fields[6]),
    threadCount: Number(fields[17]),
    startTime: Number(fields[19]),
    exitSignal: Number(fields[35]),
    startCode: Number(fields[23]),
    endCode: Number(fields[24]),
    startStack: Number(fields[25]),
    startData: Number(fields[42]),
    endData: Number(fields[43]),
    startBrk: Number(fields[44]),
    argStart: Number(fields[45]),
    argEnd: Number(fields[46]),
    envStart: Number(fields[47]),
    envEnd: Number(fields[48]),
    exitCode: Number(fields[49]),
  };
}

/** The number of a process' parent. */
export function readParent(pid: HostPid): HostPid {
  const text = readPiece(`/proc/${pid}/stat`);
  // Behind the name come a blank, the state's letter, and a blank.
  return hostPid(Number.parseInt(text.slice(text.lastIndexOf(")") + 4), 10));
}

/** /proc/PID/status: lines of a name and a value. Few of its sixty are asked for, so they are looked for then. */
export class TaskStatus {
  readonly #text: string;

  constructor(text: string) {
    this.#text = `\n${text}`;
  }

  /** The value behind a name. */
  get(name: string): string | undefined {
    const text = this.#text;
    const line = text.indexOf(`\n${name}:`);
    if (line < 0) return undefined;
    return text.slice(line + name.length + 2, text.indexOf("\n", line + 1)).trim();
  }

  /** The lines from that of one name up to that of another, both included. */
  lines(first: string, last: string): string {
    const from = this.#text.indexOf(`\n${first}:`);
    return this.#text.slice(from, this.#text.indexOf("\n", this.#text.indexOf(`\n${last}:`, from) + 1));
  }
}

/** /proc/PID/status of a process or, with `tid`, of one thread. @throws KernelError */
export function readStatus(pid: HostPid, tid?: HostPid): TaskStatus {
  return new TaskStatus(readPiece(taskPath(pid, tid, "status")));
}

/** What several folders want to know of a process, of its small files in /proc. */
export interface ProcessFiles {
  readonly stat: TaskStat;
  readonly status: TaskStatus;
  /** The text of `timers` (CONFIG_CHECKPOINT_RESTORE). */
  readonly timers: string;
  readonly oomScoreAdj: number;
  /** The text of `loginuid`; undefined without CONFIG_AUDIT. */
  readonly loginuid: string | undefined;
  /** The bits of `coredump_filter`; undefined without CONFIG_ELF_CORE. */
  readonly coredumpFilter: number | undefined;
}

/** Reads them all at once. @throws KernelError, ESRCH for a process that is gone */
export function readProcess(pid: HostPid): ProcessFiles {
  const names = ["stat", "status", "timers", "oom_score_adj", "loginuid", "coredump_filter"];
  const texts = readTexts(names.map((name) => taskPath(pid, undefined, name)));
  const [stat, status, timers = "", oomScoreAdj, loginuid, filter] = texts;
  if (stat === undefined || status === undefined) {
    throw new KernelError("read", `/proc of process ${pid}`, ERRNO.ESRCH);
  }
  return {
    stat: parseStat(stat),
    status: new TaskStatus(status),
    timers,
    oomScoreAdj: Number(oomScoreAdj),
    loginuid,
    coredumpFilter: filter === undefined || filter === "" ? undefined : Number.parseInt(filter, 16),
  };
}

/** The state of a task as /proc shows it, undefined when it is gone. */
export function stateOf(pid: HostPid, tid: HostPid): string | undefined {
  try {
    const { state } = readStat(pid, tid);
    return state === "X" ? undefined : state;
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT, ERRNO.ESRCH)) return undefined;
    throw error;
  }
}

/** Whether a task is gone, or is a zombie. */
export function hasEnded(pid: HostPid, tid: HostPid): boolean {
  const state = stateOf(pid, tid);
  return state === undefined || state === "Z";
}

/** /proc/PID/stat of many processes, in their order; undefined where one is gone. @throws KernelError */
export function readStats(pids: readonly HostPid[]): (TaskStat | undefined)[] {
  return readTexts(pids.map((pid) => taskPath(pid, undefined, "stat"))).map((text) =>
    text === undefined ? undefined : parseStat(text),
  );
}

/** /proc/PID/status of many threads of a process, in their order. @throws KernelError, ESRCH for one that is gone */
export function readStatuses(pid: HostPid, tids: readonly HostPid[]): TaskStatus[] {
  return readTexts(tids.map((tid) => taskPath(pid, tid, "status"))).map((text, i) => {
    if (text === undefined) throw new KernelError("read", `the status of task ${tids[i]}`, ERRNO.ESRCH);
    return new TaskStatus(text);
  });
}

/** Names of lines of /proc/PID/status with numbers in pid namespaces: of the task, its group, its session. */
export type NumbersName = "NSpid" | "NSpgid" | "NSsid";

/** Of a status: the numbers in our namespace first, in the task's own last; 0 where it has none. */
export function numbersIn(status: TaskStatus, name: NumbersName): number[] {
  return (status.get(name) ?? "").split("\t").map(Number);
}

/** The numbers of tasks, as {@link numbersIn} gives them; none of one that is gone. @throws KernelError */
export function readNumbers(tasks: readonly { readonly pid: HostPid; readonly tid: HostPid }[]): number[][] {
  return readTexts(tasks.map(({ pid, tid }) => taskPath(pid, tid, "status"))).map((text) =>
    text === undefined ? [] : numbersIn(new TaskStatus(text), "NSpid"),
  );
}

/**
 * The thread ids of a process, the leader's first, whatever the numbers: they start anew behind pid_max. While threads
 * end the kernel may leave out others, which live. @throws KernelError ENOENT when the process is gone
 */
export function readThreads(pid: HostPid): HostPid[] {
  const tids = listNumbers(`/proc/${pid}/task`).map(hostPid);
  const leader = tids.indexOf(pid);
  if (leader > 0) tids.unshift(...tids.splice(leader, 1));
  return tids;
}

/** The children of all threads of a process. @throws KernelError */
export function readChildrenOf(pid: HostPid): HostPid[] {
  return readChildren(readThreads(pid).map((tid) => ({ pid, tid }))).flat();
}

/** The children of each of some threads (needs CONFIG_PROC_CHILDREN, as CRIU does); of one that is gone, none. */
export function readChildren(
  threads: readonly { readonly pid: HostPid; readonly tid: HostPid }[],
): HostPid[][] {
  return readTexts(threads.map(({ pid, tid }) => taskPath(pid, tid, "children"))).map((text) => {
    const out: HostPid[] = [];
    for (const word of (text ?? "").split(" ")) if (word !== "") out.push(hostPid(Number(word)));
    return out;
  });
}

/** One mapping of /proc/PID/smaps: the line of maps, and the two-letter VmFlags where smaps was read. */
export interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly exec: boolean;
  readonly shared: boolean;
  readonly offset: number;
  readonly major: number;
  readonly minor: number;
  readonly inode: number;
  /** Empty for anonymous memory. */
  readonly path: string;
  readonly flags: ReadonlySet<string>;
}

const NO_FLAGS: ReadonlySet<string> = new Set();
const mapLine =
  /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([sp]) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)$/;

function parseMapLine(line: string, flags: ReadonlySet<string>): Mapping | undefined {
  const m = mapLine.exec(line);
  if (m === null) return undefined;
  return {
    start: Number.parseInt(m[1] ?? "", 16),
    end: Number.parseInt(m[2] ?? "", 16),
    read: m[3] === "r",
    write: m[4] === "w",
    exec: m[5] === "x",
    shared: m[6] === "s",
    offset: Number.parseInt(m[7] ?? "", 16),
    major: Number.parseInt(m[8] ?? "", 16),
    minor: Number.parseInt(m[9] ?? "", 16),
    inode: Number(m[10]),
    // The kernel escapes newlines in names as \012.
    path: (m[11] ?? "").replaceAll("\\012", "\n"),
    flags,
  };
}

/**
 * Our own mappings, as they are when this is asked for the first time. What the kernel finds a place for later lies below all
 * that is near the end of the address space.
 */
export const ourMaps: () => readonly Mapping[] = oncePerRun(() => readMaps(ourPid()));

/** /proc/PID/maps, in the order of addresses. */
export function readMaps(pid: HostPid): Mapping[] {
  const out: Mapping[] = [];
  for (const line of readText(`/proc/${pid}/maps`).split("\n")) {
    const mapping = parseMapLine(line, NO_FLAGS);
    if (mapping !== undefined) out.push(mapping);
  }
  return out;
}

const flagSets = new Map<string, ReadonlySet<string>>();

/** Few combinations of flags occur, over and over. */
function flagSet(line: string): ReadonlySet<string> {
  let flags = flagSets.get(line);
  if (flags === undefined) {
    flags = new Set(line.trim().split(" "));
    flagSets.set(line, flags);
  }
  return flags;
}

/** Mappings by their lines: processes of a tree have many in common, which are parsed once. */
const knownMappings = new Map<string, Mapping>();
const MOST_KNOWN = 10_000;
/** Of a page less the largest entry of smaps, unless its path is very long. */
const SMAPS_STEP = 2048;

/** Among the flags of a mapping: it has a key of pkeys(7). */
export const PROTECTION_KEY = "key";

/** /proc/PID/smaps: the mappings with their VmFlags. The kernel walks all page tables for it. Equal ones are one object. */
export function readSmaps(pid: HostPid): Mapping[] {
  const text = readSteps(`/proc/${pid}/smaps`, SMAPS_STEP);
  const out: Mapping[] = [];
  const marker = "\nVmFlags:";
  const hasKeys = text.includes("\nProtectionKey:");
  if (knownMappings.size > MOST_KNOWN) knownMappings.clear();
  for (let at = 0; at < text.length; ) {
    const lineEnd = text.indexOf("\n", at);
    const flagsAt = text.indexOf(marker, lineEnd - 1);
    if (lineEnd < 0 || flagsAt < 0) break;
    const flagsEnd = text.indexOf("\n", flagsAt + 1);
    const line = text.slice(at, lineEnd);
    const key = hasKeys ? Number(text.slice(text.lastIndexOf(" ", flagsAt), flagsAt)) : 0;
    const flags = text.slice(flagsAt + marker.length, flagsEnd) + (key === 0 ? "" : ` ${PROTECTION_KEY}`);
    const known = line + flags;
    let mapping = knownMappings.get(known);
    if (mapping === undefined) {
      mapping = parseMapLine(line, flagSet(flags));
      if (mapping !== undefined) knownMappings.set(known, mapping);
    }
    if (mapping !== undefined) out.push(mapping);
    at = flagsEnd + 1;
  }
  return out;
}

/** /proc/PID/fdinfo/FD: the value of every line by its name; a name that comes again keeps all its values. */
export interface Fdinfo {
  readonly pos: number;
  readonly flags: number;
  readonly mntId: number;
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

export function readFdinfo(pid: HostPid, fd: number): Fdinfo {
  const fields = new Map<string, string[]>();
  for (const line of readPiece(`/proc/${pid}/fdinfo/${fd}`).split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    const earlier = fields.get(name);
    if (earlier === undefined) fields.set(name, [value]);
    else earlier.push(value);
  }
  const first = (name: string) => fields.get(name)?.[0] ?? "0";
  return {
    pos: Number(first("pos")),
    flags: Number.parseInt(first("flags"), 8),
    mntId: Number(first("mnt_id")),
    fields,
  };
}
