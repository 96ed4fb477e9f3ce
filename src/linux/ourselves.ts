/**
 * What the kernel says of us. The runtime's own answers (`process.pid`, `process.argv`, `process.env`) are of the process
 * in which the runtime was started, which is another one where the executable starts warm.
 */
import { oncePerRun } from "../run.ts";
import { readText } from "./io.ts";
import { NR } from "./nr.ts";
import { addressOf, nameAddress, rawSyscall, syscall } from "./syscall.ts";
import { textOf } from "./text.ts";

/** PATH_MAX, the terminating zero included. */
const PATH_MAX = 4096;

/** Our process id: getpid(2). */
export const ourPid: () => number = oncePerRun(() => rawSyscall(NR.getpid));

/** The words that we were started with, the program's own name first. @throws KernelError without /proc */
export function commandLine(): string[] {
  return zeroTerminated(readText("/proc/self/cmdline"));
}

/** The environment that we were started with; of a name that stands twice the first. */
export const environment: () => Readonly<Record<string, string>> = oncePerRun(() => {
  const found: Record<string, string> = Object.create(null);
  for (const line of zeroTerminated(readText("/proc/self/environ"))) {
    const end = line.indexOf("=");
    if (end > 0) found[line.slice(0, end)] ??= line.slice(end + 1);
  }
  return found;
});

function zeroTerminated(text: string): string[] {
  const parts = text.split("\0");
  parts.pop();
  return parts;
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
