/**
 * What the kernel says of us. The runtime's own answers (`process.pid`, `process.argv`, `process.env`) are of the process
 * in which the runtime was started, which is another one where the executable starts warm.
 */
import { oncePerRun } from "../run.ts";
import { NR } from "./nr.ts";
import { word } from "./struct.ts";
import { addressOf, memoryAt, nameAddress, rawSyscall, syscall } from "./syscall.ts";
import { textOf } from "./text.ts";

/** PATH_MAX, the terminating zero included. */
const PATH_MAX = 4096;

/** Our process id: getpid(2). */
export const ourPid: () => number = oncePerRun(() => rawSyscall(NR.getpid));

/** Addresses of lists of texts, a zero behind the last, as execve(2) has put them on the stack. */
interface StartedWith {
  readonly words: number;
  readonly environment: number;
}

let startedWith: StartedWith | undefined;

/** Where the words and the environment of this process stand, if it is not the one in which the runtime was started. */
export function setStartedWith(places: StartedWith): void {
  startedWith = places;
}

/** The words that we were started with, the program's own name first. */
export function commandLine(): readonly string[] {
  return startedWith === undefined ? process.argv.slice(1) : textsAt(startedWith.words);
}

/** The environment that we were started with; of a name that stands twice the first. */
export const environment: () => Readonly<Record<string, string | undefined>> = oncePerRun(() => {
  if (startedWith === undefined) return process.env;
  const found: Record<string, string> = Object.create(null);
  for (const line of textsAt(startedWith.environment)) {
    const end = line.indexOf("=");
    if (end > 0) found[line.slice(0, end)] ??= line.slice(end + 1);
  }
  return found;
});

/** MAX_ARG_STRLEN: no text that execve(2) takes is longer. */
const LONGEST = 1 << 17;

function textsAt(list: number): string[] {
  const texts: string[] = [];
  for (let at = list; ; at += word.size) {
    const address = word.read(memoryAt(at, word.size), 0);
    if (address === 0) return texts;
    const bytes = memoryAt(address, LONGEST);
    texts.push(textOf(bytes, 0, bytes.indexOf(0)));
  }
}

/** The current directory: getcwd(2). @throws KernelError (ENOENT: it was removed) */
export function currentDirectory(): string {
  const bytes = new Uint8Array(PATH_MAX);
  const length = syscall("of the current directory", NR.getcwd, addressOf(bytes), bytes.length);
  return textOf(bytes, 0, length - 1);
}

/** chdir(2). @throws KernelError */
export function changeDirectory(path: string): void {
  syscall(path, NR.chdir, nameAddress(path));
}
