/** How the kernel is asked: by doing the thing, on something of our own. A probe that throws says what is missing. */
import { BaseError } from "../linux/base-error.ts";
import { errnoName, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { O, readText } from "../linux/io.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { s32, viewOf } from "../linux/struct.ts";
import { addressOf, cString, memoryAt, rawSyscall, syscall } from "../linux/syscall.ts";

/** The kernel does not offer what was asked for; the message says what it did instead. */
export class MissingError extends BaseError {
  override readonly name = "MissingError";
  readonly kind = "machine";
}

/** An argument: a number, or bytes or text whose address is meant. */
export type Argument = number | Uint8Array | string;

/** One call; `what` names its object. @throws KernelError */
export function call(what: string, nr: number, ...args: Argument[]): number {
  return made(args, (all) => syscall(what, nr, ...all));
}

/** One call whose failure is an answer: its raw result. */
export function attempt(nr: number, ...args: Argument[]): number {
  return made(args, (all) => rawSyscall(nr, ...all));
}

type Six = [number, number, number, number, number, number];

function made(args: readonly Argument[], make: (all: Six) => number): number {
  const buffers = args.map((argument) => (typeof argument === "string" ? cString(argument) : argument));
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = buffers.map((argument) =>
    typeof argument === "number" ? argument : addressOf(argument),
  );
  const result = make([a, b, c, d, e, f]);
  // Until here the kernel had their addresses, which the collector of garbage does not see.
  buffers.length = 0;
  return result;
}

/** An error that says what a call answered instead of what was wanted of it. */
export function refusal(what: string, result: number): MissingError {
  return new MissingError(`${what}: ${result < 0 ? errnoName(-result) : `gave ${result}`}`);
}

/** What is asked for has another name than the calls that ask for it. @throws MissingError in place of KernelError */
export function named<T>(what: string, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof KernelError) throw refusal(what, -error.errno);
    throw error;
  }
}

/** A descriptor by a call that gives one. @throws KernelError */
export function descriptor(what: string, nr: number, ...args: Argument[]): Fd {
  return Fd.own(call(what, nr, ...args));
}

/** The lines of the /proc/self/fdinfo of a descriptor. @throws KernelError */
export function infoOf({ number }: Fd): string {
  return readText(`/proc/self/fdinfo/${number}`);
}

/** A pipe of a probe's own: its ends for reading and for writing. */
export function pipe(): [Fd, Fd] {
  const both = new Uint8Array(8);
  call("of two ends", NR.pipe2, both, O.CLOEXEC);
  return [Fd.own(s32.read(both, 0)), Fd.own(s32.read(both, 4))];
}

/** Pages of a probe's own. */
export class Pages {
  readonly address: number;
  constructor(
    readonly length: number = PAGE_SIZE,
    flags = 0x22,
    fd = -1,
  ) {
    this.address = call("a page", NR.mmap, 0, length, 3, flags, fd, 0);
  }

  /** Writes to the page, so that there is one. */
  touch(): void {
    memoryAt(this.address, 1)[0] = 1;
  }

  [Symbol.dispose](): void {
    attempt(NR.munmap, this.address, this.length);
  }
}

/** The 64 bits of a word that a call filled. */
export function wordIn(bytes: Uint8Array, at = 0): number {
  return Number(viewOf(bytes).getBigUint64(at, true));
}

/** kcmp(2) of our own descriptors. */
export function compare(type: number, a: number, b: Argument): number {
  return attempt(NR.kcmp, ourPid(), ourPid(), type, a, b);
}
