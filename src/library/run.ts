/** Drives the executable: a command is a process of its own, which tells what happens as lines of JSON (events.ts). */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Answer, EVENTS_VARIABLE, type Event, type Failure } from "../events.ts";
import type { Command, Options } from "../options.ts";
import { wordsOf } from "./arguments.ts";
import { CriuError } from "./errors.ts";

/** How a command is run. */
export interface RunOptions {
  /** Path of the executable; that of this package if not given, or, where there is none, `criu` in PATH. */
  readonly executable?: string;
  /** Ends the command when it is aborted: all is then as it was before. */
  readonly signal?: AbortSignal;
  /** Told of each event as it happens. */
  readonly onEvent?: (event: Event) => void;
}

/** What a command has answered and said. */
export interface Outcome {
  readonly exitCode: number;
  readonly answer: Answer | undefined;
  readonly failure: Failure | undefined;
  /** Standard output. */
  readonly output: string;
  /** Standard error. */
  readonly errors: string;
}

const EVENTS_FD = 3;

/** The executable of this package, where it stands beside the compiled library, or beside the sources. */
function ownExecutable(): string {
  for (const place of ["../../criu", "../../dist/criu"]) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return path;
  }
  return "criu";
}

/**
 * Runs a command to its end, which may be a failure. @throws OptionError for options that make no sense, CriuError where the
 * executable cannot be started or was killed, what `signal` was aborted with
 */
export async function run(
  command: Command,
  options: Partial<Options>,
  how: RunOptions,
  rest: readonly string[] = [],
): Promise<Outcome> {
  const { executable = ownExecutable(), signal, onEvent } = how;
  const words = [
    ...command.split(" "),
    ...wordsOf(command, options),
    ...(rest.length > 0 ? ["--", ...rest] : []),
  ];
  signal?.throwIfAborted();
  const child = spawn(executable, words, {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    env: { ...process.env, [EVENTS_VARIABLE]: String(EVENTS_FD) },
  });
  const abort = () => void child.kill("SIGTERM");
  signal?.addEventListener("abort", abort, { once: true });
  let answer: Answer | undefined;
  let failure: Failure | undefined;
  const [, output, errors, events] = child.stdio;
  const saidOf = collect(output);
  const errorsOf = collect(errors);
  const lines = new Lines((line) => {
    const event = JSON.parse(line) as Event;
    if (event.kind === "answer") answer = event.answer;
    if (event.kind === "failure") failure = event.failure;
    onEvent?.(event);
  });
  if (events !== null && events !== undefined && "on" in events)
    events.on("data", (piece: Buffer) => lines.add(piece.toString()));
  try {
    const { code, by } = await ended(child);
    signal?.throwIfAborted();
    if (code === null) {
      const message = failure?.message ?? `criu ${command} was ended by ${by}`;
      throw new CriuError({ name: "Error", message }, undefined, errorsOf());
    }
    return { exitCode: code, answer, failure, output: saidOf(), errors: errorsOf() };
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** As `run`, where everything but success is thrown. @throws CriuError */
export async function succeed(
  command: Command,
  options: Partial<Options>,
  how: RunOptions,
  rest?: readonly string[],
): Promise<Outcome> {
  const outcome = await run(command, options, how, rest);
  if (outcome.exitCode !== 0) throw failed(command, outcome);
  return outcome;
}

export function failed(command: Command, { failure, exitCode, errors }: Outcome): CriuError {
  const message = errors.trim().split("\n").at(-1) || `criu ${command} ended with ${exitCode}`;
  return new CriuError(failure ?? { name: "Error", message }, exitCode, errors);
}

/** Waits until a process has ended and all that it said has been read. */
function ended(child: ReturnType<typeof spawn>): Promise<{ code: number | null; by: string | null }> {
  return new Promise((resolve, reject) => {
    child.on("error", (error) =>
      reject(
        new CriuError({ name: "Error", message: `criu cannot be started: ${error.message}` }, undefined, ""),
      ),
    );
    child.on("close", (code, by) => resolve({ code, by }));
  });
}

function collect(stream: NodeJS.ReadableStream | null | undefined): () => string {
  const pieces: Buffer[] = [];
  stream?.on("data", (piece: Buffer) => pieces.push(piece));
  return () => Buffer.concat(pieces).toString();
}

/** Text that comes in pieces, taken apart into lines. */
class Lines {
  #rest = "";

  constructor(private readonly take: (line: string) => void) {}

  add(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.take(line);
  }
}
