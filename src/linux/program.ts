/**
 * Programs that we start, or become. A child has our memory until its execve(2), and we stand still meanwhile (CLONE_VFORK):
 * nothing is copied, and what is wrong with the program shows at once.
 */
import { ENTRY_RESULT, ENTRY_SIZE, OP } from "../machine/runner.ts";
import { CLONE, cloneArgs, spawnMasked } from "./clone.ts";
import { ERRNO, isErrno, KernelError } from "./errno.ts";
import { F } from "./fcntl.ts";
import { close, exists, fcntl } from "./io.ts";
import { NR } from "./nr.ts";
import { environment } from "./ourselves.ts";
import { OwnTable } from "./own-table.ts";
import { type HostPid, hostPid } from "./pid.ts";
import { PR, PR_CAP_AMBIENT } from "./prctl.ts";
import { type WaitStatus, wait } from "./ptrace.ts";
import { SIG, SIG_SETMASK } from "./signal.ts";
import { word } from "./struct.ts";
import { addressOf, checkResult, cString, rawSyscall } from "./syscall.ts";

/** Where programs are looked for when the environment does not say: execvp(3). */
const DEFAULT_PATH = "/usr/local/bin:/bin:/usr/bin";
const SHELL = "/bin/sh";
const MASK_SIZE = 8;
const LAST_FD = 0x7fff_ffff;

/** A call that a child makes before it becomes the program; its failure keeps the child from that. */
export interface Preparation {
  /** For messages. */
  readonly what: string;
  readonly nr: number;
  readonly args: readonly (number | Uint8Array)[];
}

/** A program of others' is not to have what we have without being root: ambient capabilities go through execve(2). */
export const WITHOUT_RIGHTS: Preparation = {
  what: "its capabilities",
  nr: NR.prctl,
  args: [PR.CAP_AMBIENT, PR_CAP_AMBIENT.CLEAR_ALL, 0, 0, 0],
};

export interface Program {
  /** As execvp(3) has it: a path, or, without a slash, a name to look for. */
  readonly path: string;
  /** Its own name comes first. */
  readonly words: readonly string[];
  /** Ours, if not given. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Descriptors of ours by the numbers that it gets them under. Others it has as we have them, unless they have FD_CLOEXEC. */
  readonly descriptors?: ReadonlyMap<number, number>;
  /** It has no others. */
  readonly closeOthers?: boolean;
  readonly prepare?: readonly Preparation[];
}

/** Starts a program as a child of ours and gives its pid. @throws KernelError, which names what failed in the child */
export function start(program: Program): HostPid {
  const file = find(program.path, program.environment ?? environment());
  try {
    return startFile(program, file, program.words);
  } catch (error) {
    // A script that does not name its interpreter.
    if (!isErrno(error, ERRNO.ENOEXEC)) throw error;
    return startFile(program, SHELL, [SHELL, file, ...program.words.slice(1)]);
  }
}

/** Waits until a child has ended. @throws KernelError (ECHILD) */
export function awaitProgram(pid: HostPid): WaitStatus {
  for (;;) {
    const status = wait(pid)?.status;
    if (status !== undefined && status.kind !== "stopped") return status;
  }
}

/** Becomes a program, in our place, with our environment. @throws KernelError; it does not come back otherwise */
export function become(path: string, words: readonly string[]): never {
  const none = new Uint8Array(MASK_SIZE);
  rawSyscall(NR.rt_sigprocmask, SIG_SETMASK, addressOf(none), 0, MASK_SIZE);
  rawSyscall(NR.prctl, PR.CAP_AMBIENT, PR_CAP_AMBIENT.CLEAR_ALL, 0, 0, 0);
  const file = find(path, environment());
  const result = execute(file, words);
  if (result !== -ERRNO.ENOEXEC) throw new KernelError("execve", file, -result);
  throw new KernelError("execve", file, -execute(SHELL, [SHELL, file, ...words.slice(1)]));
}

function execute(file: string, words: readonly string[]): number {
  const name = cString(file);
  const argv = listOf(words);
  const envp = listOf(linesOf(environment()));
  return rawSyscall(NR.execve, addressOf(name), addressOf(argv.list), addressOf(envp.list));
}

/** Where execvp(3) would find a program; the name itself where nothing is found. */
function find(name: string, environment: Readonly<Record<string, string | undefined>>): string {
  if (name.includes("/")) return name;
  for (const directory of (environment.PATH ?? DEFAULT_PATH).split(":")) {
    const path = `${directory === "" ? "." : directory}/${name}`;
    if (exists(path)) return path;
  }
  return name;
}

function startFile(program: Program, file: string, words: readonly string[]): HostPid {
  const { prepare = [], descriptors = new Map(), closeOthers = false } = program;
  const lent = lend(descriptors);
  try {
    // Referenced from here to the end: the table holds addresses only.
    const none = new Uint8Array(MASK_SIZE);
    const name = cString(file);
    const argv = listOf(words);
    const envp = listOf(linesOf(program.environment ?? environment()));
    const steps: Preparation[] = [
      ...[...lent].map(([to, from]) => ({ what: `descriptor ${to}`, nr: NR.dup2, args: [from, to] })),
      ...(closeOthers ? gaps([...descriptors.keys()]) : []),
      ...prepare,
      { what: "the mask of signals", nr: NR.rt_sigprocmask, args: [SIG_SETMASK, none, 0, MASK_SIZE] },
      { what: file, nr: NR.execve, args: [name, argv.list, envp.list] },
    ];
    return run(steps);
  } finally {
    for (const from of lent.values()) close(from);
  }
}

/** Closes all descriptors but these. */
function gaps(kept: readonly number[]): Preparation[] {
  const calls: Preparation[] = [];
  let from = 0;
  const close = (to: number) => {
    if (from <= to) calls.push({ what: "other descriptors", nr: NR.close_range, args: [from, to, 0] });
  };
  for (const number of kept.toSorted((a, b) => a - b)) {
    close(number - 1);
    from = number + 1;
  }
  close(LAST_FD);
  return calls;
}

/** Duplicates of descriptors, above all numbers that they are to have, so that none is overwritten before it is used. */
function lend(descriptors: ReadonlyMap<number, number>): Map<number, number> {
  const lent = new Map<number, number>();
  const above = Math.max(-1, ...descriptors.keys()) + 1;
  try {
    for (const [to, from] of descriptors) lent.set(to, fcntl(from, F.DUPFD_CLOEXEC, above));
  } catch (error) {
    for (const from of lent.values()) close(from);
    throw error;
  }
  return lent;
}

/** Has a child make the calls, each of which must succeed; the last one is execve(2). Gives its pid. @throws KernelError */
function run(steps: readonly Preparation[]): HostPid {
  // Behind each call stands a jump to the child's end, unless the call has succeeded: the end of the table would be ours.
  const end = 2 * steps.length;
  const table = new OwnTable((end + 2) * ENTRY_SIZE);
  const endAt = (end + 1) * ENTRY_SIZE;
  word.write(table.bytes, endAt, table.address + end * ENTRY_SIZE);
  steps.forEach(({ nr, args }, i) => {
    const numbers = args.map((argument) => (typeof argument === "number" ? argument : addressOf(argument)));
    table.entryWith(2 * i, nr, numbers);
    const result = table.address + 2 * i * ENTRY_SIZE + ENTRY_RESULT;
    table.entry(2 * i + 1, OP.JUMP, table.address + endAt, result, 0, Number.MAX_SAFE_INTEGER);
  });
  table.entry(end, NR.exit_group, 0);
  const args = cloneArgs.encode({
    flags: CLONE.VM + CLONE.VFORK + CLONE.CLEAR_SIGHAND,
    exit_signal: SIG.CHLD,
  });
  const pid = hostPid(checkResult(spawnMasked(args, table.address), NR.clone3, "for a program"));
  steps.forEach(({ what, nr }, i) => {
    const result = table.resultOf(2 * i);
    if (result >= 0) return;
    awaitProgram(pid);
    checkResult(result, nr, what);
  });
  return pid;
}

/** An array of addresses of texts, as execve(2) takes it. */
function listOf(texts: readonly string[]): {
  readonly list: Uint8Array;
  readonly texts: readonly Uint8Array[];
} {
  const strings = texts.map(cString);
  const addresses = strings.map((each) => BigInt(addressOf(each)));
  return { list: new Uint8Array(BigUint64Array.of(...addresses, 0n).buffer), texts: strings };
}

function linesOf(environment: Readonly<Record<string, string | undefined>>): string[] {
  const lines: string[] = [];
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined) lines.push(`${name}=${value}`);
  return lines;
}

/** How a program ended, in words. */
export function endOf(status: WaitStatus): string {
  return status.kind === "exited" ? `exited with ${status.code}` : `was ended by signal ${status.signal}`;
}
