/** The commands as functions. */
import type { Options } from "../options.ts";
import { failed, type Outcome, type RunOptions, run, succeed } from "./run.ts";

/** Options of the command line under their long names in camel case; directories are absolute, or count from the current one. */
export type Request = Partial<Options> & RunOptions;

export interface DumpResult {
  /** The root of the tree, and how many processes it has. */
  readonly pid: number;
  readonly processes: number;
}

export type RestoreResult = DumpResult;

/**
 * Saves the tree of process `tree` to `imagesDir`, and ends it unless `leaveRunning` or `leaveStopped` is set. It may be a child of
 * ours: we find it ended as if it had been killed.
 * @throws OptionError, CriuError: the tree runs on as it was
 */
export async function dump(
  request: Request & { readonly tree: number; readonly imagesDir: string },
): Promise<DumpResult> {
  return countsOf(await withOptions("dump", request));
}

/**
 * Saves memory ahead of a dump, which builds on it with `prevImagesDir`, a path that counts from its `imagesDir`.
 * @throws OptionError, CriuError: the tree runs on as it was
 */
export async function preDump(
  request: Request & { readonly tree: number; readonly imagesDir: string },
): Promise<void> {
  await withOptions("pre-dump", request);
}

/**
 * Brings back the tree saved in `imagesDir`. Unless `restoreDetached` is set, the promise is settled when the root has ended.
 * @throws OptionError, CriuError: nothing is left behind
 */
export async function restore(request: Request & { readonly imagesDir: string }): Promise<RestoreResult> {
  return countsOf(await withOptions("restore", request));
}

export interface CheckResult {
  /** Whether all that was asked for is there. */
  readonly good: boolean;
  /** What was printed: an answer for each feature, or a summary. */
  readonly output: string;
  /** What is missing, a line each, and what cannot be saved without it. */
  readonly missing: readonly string[];
}

/** Asks what this kernel offers: `feature: ["uffd"]`, `extra`, `experimental`, `all`. @throws OptionError, CriuError */
export async function check(request: Request = {}): Promise<CheckResult> {
  const missing: string[] = [];
  const { exitCode, output, failure } = await run("check", optionsOf(request), {
    ...howOf(request),
    onEvent(event) {
      if (event.kind === "log" && (event.level === "warn" || event.level === "error"))
        missing.push(event.text);
      request.onEvent?.(event);
    },
  });
  if (failure !== undefined)
    throw failed("check", { exitCode, output, failure, answer: undefined, errors: "" });
  return { good: exitCode === 0, output, missing };
}

/** Writes an image of the processor's features to `imagesDir`, or compares them with it. @throws CriuError where it lacks any */
export async function cpuinfo(
  action: "dump" | "check",
  request: Request & { readonly imagesDir: string },
): Promise<void> {
  await withOptions(`cpuinfo ${action}`, request);
}

/** A number, a text, or a buffer that the call may fill. */
export type CallArgument = number | string | Uint8Array;

export interface CallResult {
  /** The kernel's result; a negative errno on failure. */
  readonly result: number;
  /** What stands after the call in each of the arguments that were buffers, in their order. */
  readonly buffers: readonly Uint8Array[];
}

/**
 * Makes a system call, by its name or number, inside process `tree`, which stands meanwhile.
 * @throws CriuError where it could not be made; that the call itself failed is a result
 */
export async function exec(
  request: Request & { readonly tree: number },
  call: string | number,
  ...args: CallArgument[]
): Promise<CallResult> {
  const outcome = await run("exec", optionsOf(request), howOf(request), [String(call), ...args.map(wordOf)]);
  const { answer } = outcome;
  if (answer?.to !== "exec") throw failed("exec", outcome);
  return {
    result: answer.result,
    buffers: answer.buffers.map((text) => new Uint8Array(Buffer.from(text, "base64"))),
  };
}

function wordOf(argument: CallArgument): string {
  if (typeof argument === "number") return String(argument);
  if (typeof argument === "string") return `&${argument}`;
  return `@${argument.length}:${Buffer.from(argument).toString("hex")}`;
}

function withOptions(command: Parameters<typeof run>[0], request: Request): Promise<Outcome> {
  return succeed(command, optionsOf(request), howOf(request));
}

function countsOf({ answer }: Outcome): DumpResult {
  if (answer === undefined || answer.to === "exec") throw new Error("the executable has told no result");
  return { pid: answer.pid, processes: answer.processes };
}

function optionsOf({ executable, signal, onEvent, ...options }: Request): Partial<Options> {
  return options;
}

function howOf({ executable, signal, onEvent }: Request): RunOptions {
  return {
    ...(executable !== undefined && { executable }),
    ...(signal !== undefined && { signal }),
    ...(onEvent !== undefined && { onEvent }),
  };
}
