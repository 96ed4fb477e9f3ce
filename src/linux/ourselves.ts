/**
 * What the kernel says of us. The runtime's own answers (`process.pid`, `process.argv`, `process.env`) are of the process
 * in which the runtime was started, which is another one where the executable starts warm.
 */

import { NR } from "./nr.ts";
import { oncePerRun } from "./once-per-run.ts";
import { type HostPid, hostPid } from "./pid.ts";
import { word } from "./struct.ts";
import { addressOf, memoryAt, nameAddress, rawSyscall, syscall } from "./syscall.ts";
import { textOf } from "./text.ts";

/** PATH_MAX, the terminating zero included. */
const PATH_MAX = 4096;

/** Our process id: getpid(2). */
export const ourPid: () => HostPid = oncePerRun(() => hostPid(rawSyscall(NR.getpid)));

/** Address of the environment, if the runtime was started in another process than this one. */
let environmentAt: number | undefined;

/**
 * Notes that this process is not the one in which the runtime was started: its words and its environment stand at these
 * addresses, lists of texts as execve(2) puts them on the stack. Gives the words, the program's own name first.
 */
export function startedWith(words: number, environment: number): string[] {
  environmentAt = environment;
  return textsAt(words);
}

/** The environment that we were started with; of a name that stands twice the first. */
export const environment: () => Readonly<Record<string, string | undefined>> = oncePerRun(() => {
  if (environmentAt === undefined) return process.env;
  const found: Record<string, string> = Object.create(null);
  for (const line of textsAt(environmentAt)) {
    const end = line.indexOf("=");
    if (end > 0) found[line.slice(0, end)] ??= line.slice(end + 1);
  }
  return found;
});

/** MAX_ARG_STRLEN: no text that execve(2) takes is longer. */
const LONGEST = 1 << 17;
/** So many addresses are looked at together. */
const SOME = 512;

/** The texts of a list that ends with a zero. What lies behind it may be no memory, but is not looked at. */
function textsAt(list: number): string[] {
  const texts: string[] = [];
  const some = SOME * word.size;
  for (let from = list; ; from += some) {
    const addresses = memoryAt(from, some);
    for (let at = 0; at < some; at += word.size) {
      const address = word.read(addresses, at);
      if (address === 0) return texts;
      const bytes = memoryAt(address, LONGEST);
      texts.push(textOf(bytes, 0, bytes.indexOf(0)));
    }
  }
}

/** Where a program that was compiled into one file finds its parts. */
const COMPILED = "/$bunfs/";

/** What starts this program once more: a file to execute, and the words that stand before a command's. */
export function ourProgram(): { readonly path: string; readonly words: readonly string[] } {
  const path = "/proc/self/exe";
  if (import.meta.path.startsWith(COMPILED)) return { path, words: ["criu"] };
  return { path, words: ["bun", import.meta.path.replace(/[^/]*\/[^/]*$/, "main.ts")] };
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
