import { expect, test } from "bun:test";
import { resultAt } from "../machine/entries.ts";
import { ERRNO } from "./errno.ts";
import { HelperThread } from "./helper-thread.ts";
import { NR } from "./nr.ts";

/** struct timespec. */
function layPause(aside: HelperThread, milliseconds: number): number {
  new BigInt64Array(aside.bytes.buffer, aside.room, 2).set([0n, BigInt(milliseconds) * 1_000_000n]);
  return aside.address + aside.room;
}

test("calls are made by another thread, meanwhile", () => {
  const aside = new HelperThread(3, 64);
  aside.entry(0, NR.gettid);
  aside.entry(1, NR.nanosleep, layPause(aside, 500), 0);
  aside.entry(2, NR.getpid);
  const began = performance.now();
  aside.start(3);
  expect(performance.now() - began).toBeLessThan(400);
  aside.await();
  expect(performance.now() - began).toBeGreaterThan(450);
  const tid = aside.words[resultAt(0)] ?? 0;
  expect(tid).toBeGreaterThan(0);
  expect(tid).not.toBe(process.pid);
  expect(aside.words[resultAt(1)]).toBe(0);
  expect(aside.words[resultAt(2)]).toBe(process.pid);
});

test("the same table again and again, with failures as results", () => {
  const aside = new HelperThread(1, 0);
  aside.entry(0, NR.close, 0x7fff_fff0);
  for (let i = 0; i < 200; i++) {
    aside.words[resultAt(0)] = 0;
    aside.start(1);
    aside.await();
    expect((aside.words[resultAt(0)] ?? 0) | 0).toBe(-ERRNO.EBADF);
  }
});

test("what follows the calls is as before when they have been made", () => {
  const aside = new HelperThread(2, 0);
  aside.entry(0, NR.getpid);
  aside.entry(1, NR.getppid);
  aside.start(1);
  aside.await();
  aside.words[resultAt(0)] = 0;
  aside.run(2);
  expect([aside.words[resultAt(0)], aside.words[resultAt(1)]]).toEqual([process.pid, process.ppid]);
});

test("nothing is waited for where nothing was begun", () => {
  const aside = new HelperThread(1, 0);
  aside.await();
});
