/**
 * `criu exec`: a system call made inside a process as if that one had made it, by its first thread, with its rights,
 * descriptors and memory. All its threads stand meanwhile. It is entered and left as a dump enters and leaves it
 * (tracee/enter/infection.ts), so that nothing remains but what the call itself does.
 */

import type { Actions } from "./actions.ts";
import { tell } from "./event-channel.ts";
import { errnoName } from "./linux/errno.ts";
import { NR } from "./linux/nr.ts";
import { ourPid } from "./linux/ourselves.ts";
import { type HostPid, hostPid } from "./linux/pid.ts";
import { callName, cString } from "./linux/syscall.ts";
import { say } from "./log.ts";
import { OP } from "./machine/runner.ts";
import { OptionError, type Options } from "./options.ts";
import { within } from "./process/inside.ts";
import { refuseOther } from "./process/pstree.ts";
import { FrozenTree } from "./tracee/hold/freeze.ts";
import type { Space } from "./tracee/table/table.ts";

/** An argument: a number; a text, passed as the address of its bytes and a zero; or bytes that the call may change. */
export type CallArgument = number | string | Uint8Array;

export interface CallAnswer {
  /** The kernel's result; negative errno on failure. */
  readonly result: number;
  /** What stands after the call in each of the arguments that were bytes, in their order. */
  readonly buffers: readonly Uint8Array[];
}

/** Calls that do not come back, or that begin a task which would find itself in memory of ours. */
const NEVER: readonly number[] = [
  NR.exit,
  NR.exit_group,
  NR.execve,
  NR.execveat,
  NR.fork,
  NR.vfork,
  NR.clone,
  NR.clone3,
  NR.rt_sigreturn,
  NR.restart_syscall,
];

/** Bytes of all texts and buffers of a call together. */
const MOST_BYTES = 0xc000;

/**
 * Makes a system call in process `pid`. One that sleeps for longer than `patience` milliseconds gives EINTR.
 * @throws RangeError for a call or arguments that cannot be passed, KernelError, UnsupportedError; the process runs on then
 */
export function callInside(
  pid: HostPid,
  nr: number,
  args: readonly CallArgument[],
  patience: number,
): CallAnswer {
  if (NEVER.includes(nr)) throw new RangeError(`${callName(nr)} cannot be made inside another process`);
  if (!(nr >= 0 && nr < OP.MOVE)) throw new RangeError(`there is no system call ${nr}`);
  if (args.length > 6) throw new RangeError(`${args.length} arguments, where a system call has six`);
  const length = args.reduce<number>((sum, arg) => sum + sizeOf(arg), 0);
  if (length > MOST_BYTES)
    throw new RangeError(`${length} bytes of arguments, where ${MOST_BYTES} can be passed`);
  refuseOther("exec", pid);
  if (pid === ourPid()) throw new RangeError("a process cannot stop itself");
  const tree = FrozenTree.freezeAlone(pid, patience);
  try {
    return callFrozen(tree, nr, args, patience);
  } finally {
    tree.release();
  }
}

/** Bytes that an argument takes in the process. */
function sizeOf(arg: CallArgument): number {
  if (typeof arg === "number") return 0;
  return typeof arg === "string" ? cString(arg).length : arg.length;
}

function callFrozen(
  { root }: FrozenTree,
  nr: number,
  args: readonly CallArgument[],
  patience: number,
): CallAnswer {
  let answer: CallAnswer | undefined;
  within([root], (inside) => {
    const { table } = inside;
    const spaces: Space[] = [];
    const passed = args.map((arg) => {
      if (typeof arg === "number") return arg;
      if (typeof arg === "string") return table.data(cString(arg));
      const space = table.space(arg.length, arg);
      spaces.push(space);
      return space.address;
    });
    const result = table.call(nr, ...passed);
    inside.runWithin(patience);
    answer = { result: result.raw, buffers: spaces.map(({ bytes }) => bytes) };
  });
  if (answer === undefined) throw new Error(`process ${root.pid} was not entered`);
  return answer;
}

/**
 * `criu exec -t PID SYSCALL [ARG...]`; prints the call and its result as strace(1) does, then what is in its buffers. The exit
 * code is 1 where the call failed. @throws OptionError for words that cannot be read, and as {@link callInside}
 */
export function exec(options: Options, _actions: Actions, words: readonly string[]): number {
  const { tree: pid, timeout } = options;
  const [name, ...rest] = words;
  if (pid === undefined || name === undefined)
    throw new OptionError("exec needs --tree PID and a system call");
  const nr = callNumber(name);
  const args = rest.map(readArgument);
  let answer: CallAnswer;
  try {
    answer = callInside(hostPid(pid), nr, args, timeout === 0 ? Number.POSITIVE_INFINITY : timeout * 1000);
  } catch (error) {
    if (error instanceof RangeError) throw new OptionError(error.message);
    throw error;
  }
  const { result, buffers } = answer;
  const encoded = buffers.map((bytes) => Buffer.from(bytes).toString("base64"));
  tell({ kind: "answer", answer: { to: "exec", result, buffers: encoded } });
  const failed = result < 0 && result > -4096;
  say(
    `${callName(nr)}(${args.map(argumentText).join(", ")}) = ${failed ? `-1 ${errnoName(-result)}` : numberText(result)}\n`,
  );
  const filled = args.flatMap((arg, i) => (arg instanceof Uint8Array ? [i + 1] : []));
  buffers.forEach((bytes, i) => {
    say(`argument ${filled[i]}:\n${hexdump(bytes)}`);
  });
  return failed ? 1 : 0;
}

/** The number of a system call given by name or number. @throws OptionError */
function callNumber(word: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  for (const [name, nr] of Object.entries(NR)) if (name === word) return nr;
  throw new OptionError(`no system call is called ${word}`);
}

/**
 * One argument in words: `7`, `-1`, `0x1f`, `0644` are numbers; `@16` is a buffer of 16 bytes, `@8:0a00` one that begins with
 * the bytes 0a 00; `&TEXT`, and whatever is none of these, is a text. @throws OptionError
 */
export function readArgument(word: string): CallArgument {
  if (word.startsWith("&")) return word.slice(1);
  const buffer = /^@(\d+)(?::((?:[0-9a-fA-F]{2})*))?$/.exec(word);
  if (buffer?.[1] !== undefined) {
    const length = Number(buffer[1]);
    if (length > MOST_BYTES) throw new OptionError(`${word}: a buffer has ${MOST_BYTES} bytes at the most`);
    const content = Buffer.from(buffer[2] ?? "", "hex");
    if (content.length > length)
      throw new OptionError(`${word}: ${content.length} bytes do not fit in ${length}`);
    const bytes = new Uint8Array(length);
    bytes.set(content);
    return bytes;
  }
  const number = /^(-?)(0[xX][0-9a-fA-F]+|\d+)$/.exec(word);
  if (number?.[2] === undefined) return word;
  const digits = /^0[0-7]+$/.test(number[2]) ? `0o${number[2].slice(1)}` : number[2];
  if (/^0\d/.test(digits)) throw new OptionError(`${word}: a number that begins with 0 is octal`);
  const value = BigInt.asIntN(64, number[1] === "-" ? -BigInt(digits) : BigInt(digits));
  const as = Number(value);
  if (!Number.isSafeInteger(as))
    throw new OptionError(`${word}: numbers of more than 53 bits cannot be passed`);
  return as;
}

function argumentText(arg: CallArgument): string {
  if (typeof arg === "number") return numberText(arg);
  return typeof arg === "string" ? JSON.stringify(arg) : `@${arg.length}`;
}

/** Addresses are read in hexadecimal. */
function numberText(value: number): string {
  return value > 0xffff_ffff ? `0x${value.toString(16)}` : String(value);
}

const ROW = 16;

/** As hexdump -C has it: offset, bytes, characters; rows like the one before are a star; the length. */
export function hexdump(bytes: Uint8Array): string {
  let out = "";
  let before = "";
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = [...bytes.subarray(at, at + ROW)];
    const codes = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    if (codes !== before) out += `${offset(at)}  ${codes.padEnd(3 * ROW)} |${text}|\n`;
    else if (!out.endsWith("*\n")) out += "*\n";
    before = codes;
  }
  return `${out}${offset(bytes.length)}\n`;
}

function offset(at: number): string {
  return at.toString(16).padStart(8, "0");
}
