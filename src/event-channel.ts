/** Writes events (events.ts) to a program that drives us. */
import { EVENTS_VARIABLE, type Event } from "./events.ts";
import { F, FD_CLOEXEC } from "./linux/fcntl.ts";
import { writeAll } from "./linux/io.ts";
import { NR } from "./linux/nr.ts";
import { rawSyscall } from "./linux/syscall.ts";

const utf8 = new TextEncoder();
let fd: number | undefined;

/** Takes the descriptor from the environment of a run. What we start does not inherit it. */
export function openEvents(environment: Readonly<Record<string, string | undefined>>): void {
  const word = environment[EVENTS_VARIABLE];
  fd = undefined;
  if (word === undefined || !/^\d{1,9}$/.test(word)) return;
  if (rawSyscall(NR.fcntl, Number(word), F.SETFD, FD_CLOEXEC) === 0) fd = Number(word);
}

/** Whether anybody listens: to guard what is expensive to say. */
export function isListening(): boolean {
  return fd !== undefined;
}

/** Tells it to who listens. That nobody listens any more is no reason to fail. */
export function tell(event: Event): void {
  if (fd === undefined) return;
  try {
    writeAll(fd, utf8.encode(`${JSON.stringify(event)}\n`));
  } catch {
    fd = undefined;
  }
}
