/** Waits of this process itself, which are short: everything here is synchronous. */
import { encodeTime } from "./clock.ts";
import { NR } from "./nr.ts";
import { addressOf, rawSyscall } from "./syscall.ts";

/** Sleeps for some milliseconds, a part of one too; a signal ends it early (nanosleep(2)). */
export function sleep(milliseconds: number): void {
  rawSyscall(NR.nanosleep, addressOf(encodeTime(BigInt(Math.round(milliseconds * 1e6)))), 0);
}

/**
 * Looks until something is so, with pauses that grow from a half to two milliseconds: for what the kernel does on its own, as it
 * lets go of what belonged to a tree that has ended.
 * @param patience milliseconds after which it gives up
 * @returns whether it is so
 */
export function awaitThat(isSo: () => boolean, patience: number): boolean {
  const deadline = performance.now() + patience;
  for (let pause = 0.5; !isSo(); pause = Math.min(pause + 0.5, 2)) {
    if (performance.now() > deadline) return false;
    sleep(pause);
  }
  return true;
}
