/**
 * The log. Every folder above `linux/` may import it; it makes its own system calls, as
 * node:fs takes 1 to 2 ms of a start.
 *
 * A line is made, in this order, of
 *
 *     (00.012345)            seconds since the log was opened; only from level 3 up
 *       1234:                the restored process that the line is about; only from `forPid()`
 *     Error (place): text    or `Warn  (place): text`; information and debug have no level word: `place: text`
 *
 * which is how CRIU 4.2 writes them, so that whatever reads its logs reads ours. `place` says where in our
 * source the line comes from (`files/eventfd`, `dump`), as CRIU's file and line do.
 *
 * Lines written before `openLog()` wait in a small buffer and come first in the log. Every line is one
 * write(2) at once: nothing that was logged is lost when we are killed. A log that cannot be written never
 * stops the work: errors go to standard error then, and all else is lost.
 */

import { isListening, tell } from "./event-channel.ts";
import { close, O, open, writeAll } from "./linux/io.ts";
import { isTerminal } from "./linux/tty.ts";

/** How much is written: each level includes those before it. */
export const Level = { none: 0, error: 1, warn: 2, info: 3, debug: 4 } as const;

/** CRIU's level when no `-v` is given. */
export const DEFAULT_LEVEL: number = Level.warn;

/** The text of a line; as a function when it costs something to make, called only if the line is written. */
export type Text = string | (() => string);

export interface Log {
  /** Something failed. The first one is kept, see `firstError()`. */
  error(place: string, text: Text): void;
  warn(place: string, text: Text): void;
  /** An empty `place` leaves the text as the whole line, here and in `debug`. */
  info(place: string, text: Text): void;
  debug(place: string, text: Text): void;
  /** Whether a line of this level (`Level.debug`) would be written; to guard what is expensive to say. */
  enabled(level: number): boolean;
}

export interface LogTarget {
  /**
   * A file name, opened (created with mode 0600, emptied) relative to the current directory, which for a command
   * is its work directory; `-` for standard output; undefined for standard error.
   */
  output?: string | undefined;
  /** Give every restored process a file of its own, named `<output>.<pid>`. */
  perPid?: boolean;
}

const STDOUT = 1;
const STDERR = 2;
/** From this level on lines carry timestamps. */
const TIMESTAMPS = Level.info;
/** Characters kept before the log is opened; what does not fit is dropped, and said to be. */
const EARLY_LIMIT = 64 * 1024;
/** What a line from before the opening carries in place of a time. */
const NO_TIME = "(00.000000) ";
/** A note for an RPC client has its limits: CRIU keeps this many bytes. */
const FIRST_ERROR_LIMIT = 1023;

let level: number = DEFAULT_LEVEL;
let opened = false;
let fd: number = STDERR;
let start = 0;
let output: string | undefined;
let perPid = false;
let early: { level: number; line: string }[] = [];
let earlySize = 0;
let earlyLost = false;
/** Whether lines of any level are kept for now, since the level that counts is not known yet. */
let holding = true;
let firstErrorText: string | undefined;
const perPidFds = new Map<number, number>();

/** Sets how much is written, 0 to 4 and more. Lines that wait in the early buffer are chosen by it as well. */
export function setLevel(to: number): void {
  level = to;
}

export function getLevel(): number {
  return level;
}

/**
 * Starts the log: the clock begins, and the lines that waited are written. Called again, it changes to the new
 * target. Throws KernelError when the file cannot be opened; the log is then as it was before.
 */
export function openLog(target: LogTarget = {}): void {
  const newFd =
    target.output === undefined ? STDERR : target.output === "-" ? STDOUT : openFile(target.output);
  closeFiles();
  fd = newFd;
  output = target.output === "-" ? undefined : target.output;
  perPid = target.perPid ?? false;
  opened = true;
  holding = false;
  start = performance.now();
  flushEarly();
}

/**
 * Ends the log. What waits because the log was never opened goes to standard error, so that a message is never
 * lost; lines written later wait again, for another `openLog()`.
 */
export function closeLog(): void {
  if (!opened) flushEarly();
  closeFiles();
  opened = false;
  holding = true;
  output = undefined;
  perPid = false;
}

/** The descriptor that the log goes to, the log's own: for what others print on our behalf. */
export function logDescriptor(): number {
  return fd;
}

/** The first error since the start or the last `forgetFirstError()`, as logged but for its time. */
export function firstError(): string | undefined {
  return firstErrorText;
}

/** For a server, which answers each request with the first error of that request. */
export function forgetFirstError(): void {
  firstErrorText = undefined;
}

/**
 * The log of one restored process: its lines carry the pid, or go to the process's own file when the log was
 * opened with `perPid`. The file is opened with the first line.
 */
export function forPid(pid: number): Log {
  return new Writer(pid);
}

class Writer implements Log {
  readonly #pid: number | undefined;

  constructor(pid?: number) {
    this.#pid = pid;
  }

  error(place: string, text: Text): void {
    // Made even when not written: the first error is kept for whoever asked for the work.
    if (firstErrorText === undefined || level >= Level.error) {
      const line = `Error (${place}): ${said(text)}`;
      this.#tell("error", place, text);
      firstErrorText ??= line.slice(0, FIRST_ERROR_LIMIT);
      if (level >= Level.error || !opened) write(Level.error, this.#pid, line);
    }
  }

  warn(place: string, text: Text): void {
    if (level < Level.warn && !holding) return;
    write(Level.warn, this.#pid, `Warn  (${place}): ${said(text)}`);
    this.#tell("warn", place, text);
  }

  info(place: string, text: Text): void {
    if (level < Level.info && !holding) return;
    write(Level.info, this.#pid, prefixed(place, text));
    this.#tell("info", place, text);
  }

  debug(place: string, text: Text): void {
    if (level < Level.debug && !holding) return;
    write(Level.debug, this.#pid, prefixed(place, text));
    this.#tell("debug", place, text);
  }

  #tell(of: keyof Omit<typeof Level, "none">, place: string, text: Text): void {
    if (!isListening() || level < Level[of]) return;
    tell({
      kind: "log",
      level: of,
      place,
      text: said(text),
      ...(this.#pid !== undefined && { pid: this.#pid }),
    });
  }

  enabled(of: number): boolean {
    return level >= of;
  }
}

/** The log of the command itself. */
export const log: Log & { forPid(pid: number): Log } = Object.assign(new Writer(), { forPid });

/**
 * Text for the user, on standard output, whatever the level (statistics, the answer of `check`). Written as it
 * is: line ends are the caller's.
 */
export function say(text: string): void {
  put(STDOUT, text);
}

function write(of: number, pid: number | undefined, line: string): void {
  if (!opened) {
    hold(of, `${of >= TIMESTAMPS ? NO_TIME : ""}${pid === undefined ? "" : pidPrefix(pid)}${line}\n`);
    return;
  }
  const time = level >= TIMESTAMPS ? timestamp(performance.now() - start) : "";
  if (pid === undefined) putLine(of, fd, `${time}${line}\n`);
  else if (perPid && output !== undefined) putLine(of, fdOfPid(pid, output), `${time}${line}\n`);
  else putLine(of, fd, `${time}${pidPrefix(pid)}${line}\n`);
}

/** An error that the log does not take is told on standard error. */
function putLine(of: number, to: number, line: string): void {
  if (!put(to, line) && of === Level.error && to !== STDERR) put(STDERR, line);
}

function hold(of: number, line: string): void {
  // What is chatty stops first, so that there is room left for what went wrong.
  if (earlySize + line.length > (of > Level.warn ? EARLY_LIMIT : 2 * EARLY_LIMIT)) {
    earlyLost = true;
    holding = false;
    return;
  }
  early.push({ level: of, line });
  earlySize += line.length;
}

function flushEarly(): void {
  const lines = early;
  const lost = earlyLost;
  early = [];
  earlySize = 0;
  earlyLost = false;
  for (const each of lines) if (each.level <= level) putLine(each.level, fd, each.line);
  if (lost && level >= Level.warn) {
    put(fd, "Warn  (log): more was logged before the log was opened than is kept; some of it is lost\n");
  }
}

/** `(ss.uuuuuu) ` of milliseconds; the field keeps its 12 columns, from 100 s on at the cost of the last digits. */
function timestamp(ms: number): string {
  const us = Math.max(0, Math.floor(ms * 1000));
  const seconds = Math.floor(us / 1_000_000);
  const text = `(${String(seconds).padStart(2, "0")}.${String(us - seconds * 1_000_000).padStart(6, "0")}`;
  return `${text.slice(0, NO_TIME.length - 2)}) `;
}

function pidPrefix(pid: number): string {
  return `${String(pid).padStart(6)}: `;
}

function prefixed(place: string, text: Text): string {
  return place === "" ? said(text) : `${place}: ${said(text)}`;
}

/** One message is one line, and a file name out of an image does not get to drive the reader's terminal. */
function said(text: Text): string {
  const whole = typeof text === "string" ? text : text();
  for (let i = 0; i < whole.length; i++) {
    const code = whole.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || (code >= 0x7f && code < 0xa0)) return escaped(whole);
  }
  return whole;
}

function escaped(text: string): string {
  let out = "";
  for (const char of text.endsWith("\n") ? text.slice(0, -1) : text) {
    const code = char.charCodeAt(0);
    if (char === "\n") out += "\\n";
    else if ((code < 0x20 && char !== "\t") || (code >= 0x7f && code < 0xa0))
      out += `\\x${code.toString(16).padStart(2, "0")}`;
    else out += char;
  }
  return out;
}

function openFile(path: string): number {
  return open(path, O.CREAT | O.TRUNC | O.WRONLY | O.APPEND, 0o600);
}

function fdOfPid(pid: number, base: string): number {
  let own = perPidFds.get(pid);
  if (own === undefined) {
    try {
      own = openFile(`${base}.${pid}`);
    } catch {
      own = fd; // better in the wrong file than nowhere
    }
    perPidFds.set(pid, own);
  }
  return own;
}

function closeFiles(): void {
  for (const own of perPidFds.values()) if (own !== fd) close(own);
  perPidFds.clear();
  if (fd > STDERR) close(fd);
  fd = STDERR;
}

const utf8 = new TextEncoder();

/** Whether a line stands on the terminal that is to go again. */
let hasStatus = false;
/** To the line's beginning, and the rest of it away. */
const CLEAR = "\r\x1b[K";

/** Shows a line on standard error that the next one replaces, if that is a terminal; none takes it away. */
export function showStatus(text: string | undefined): void {
  if (!isTerminal(STDERR)) return;
  put(STDERR, text ?? "");
  if (text !== undefined) hasStatus = true;
}

/** Whether it could be written. */
function put(to: number, text: string): boolean {
  try {
    if (hasStatus && to <= STDERR) {
      hasStatus = false;
      writeAll(STDERR, utf8.encode(CLEAR));
    }
    if (text !== "") writeAll(to, utf8.encode(text));
    return true;
  } catch {
    // the log is full, closed or gone: the work goes on without it
    return false;
  }
}
