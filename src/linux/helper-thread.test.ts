import { expect, test } from "bun:test";
import { resultAt } from "../machine/entries.ts";
import { ERRNO } from "./errno.ts";
import { HelperThread } from "./helper-thread.ts";
import { NR } from "./nr.ts";

/** struct timespec. */
function layPause(thread: HelperThread, milliseconds: number): number {
  new BigInt64Array(thread.bytes.buffer, thread.dataAt, 2).set([0n, BigInt(milliseconds) * 1_000_000n]);
  return thread.address + thread.dataAt;
}

test("calls are made by another thread, meanwhile", () => {
  const thread = new HelperThread(3, 64);
  thread.entry(0, NR.gettid);
  thread.entry(1, NR.nanosleep, layPause(thread, 500), 0);
  thread.entry(2, NR.getpid);
  const began = performance.now();
  thread.start(3);
  expect(performance.now() - began).toBeLessThan(400);
  thread.await();
  expect(performance.now() - began).toBeGreaterThan(450);
  const tid = thread.words[resultAt(0)] ?? 0;
  expect(tid).toBeGreaterThan(0);
  expect(tid).not.toBe(process.pid);
  expect(thread.words[resultAt(1)]).toBe(0);
  expect(thread.words[resultAt(2)]).toBe(process.pid);
});

test("the same table again and again, with failures as results", () => {
  const thread = new HelperThread(1, 0);
  thread.entry(0, NR.close, 0x7fff_fff0);
  for (let i = 0; i < 200; i++) {
    thread.words[resultAt(0)] = 0;
    thread.start(1);
    thread.await();
    expect((thread.words[resultAt(0)] ?? 0) | 0).toBe(-ERRNO.EBADF);
  }
});

test("what follows the calls is as before when they have been made", () => {
  const thread = new HelperThread(2, 0);
  thread.entry(0, NR.getpid);
  thread.entry(1, NR.getppid);
  thread.start(1);
  thread.await();
  thread.words[resultAt(0)] = 0;
  thread.run(2);
  expect([thread.words[resultAt(0)], thread.words[resultAt(1)]]).toEqual([process.pid, process.ppid]);
});

test("nothing is waited for where nothing was begun", () => {
  const thread = new HelperThread(1, 0);
  thread.await();
});
