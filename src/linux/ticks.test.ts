import { expect, test } from "bun:test";
import { ERRNO } from "./errno.ts";
import { NR } from "./nr.ts";
import { addressOf, rawSyscall } from "./syscall.ts";
import { withTicks } from "./ticks.ts";

const second = new BigUint64Array([1n, 0n]);

function sleepASecond(): number {
  return rawSyscall(NR.nanosleep, addressOf(new Uint8Array(second.buffer)), 0);
}

test("a call that sleeps ends at a tick, and sleeps on without them", () => {
  const start = performance.now();
  expect(withTicks(sleepASecond)).toBe(-ERRNO.EINTR);
  expect(performance.now() - start).toBeLessThan(500);
  expect(sleepASecond()).toBe(0);
});

test("ticks come again: one that is missed is not the last", () => {
  const ends = withTicks(() => [sleepASecond(), sleepASecond(), sleepASecond()]);
  expect(ends).toEqual([-ERRNO.EINTR, -ERRNO.EINTR, -ERRNO.EINTR]);
});
