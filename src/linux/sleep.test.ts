import { expect, test } from "bun:test";
import { awaitThat, sleep } from "./sleep.ts";

test("sleeps for the time given", () => {
  const start = performance.now();
  sleep(30.5);
  expect(performance.now() - start).toBeGreaterThanOrEqual(30);
});

test("waits until it is so, and not for longer than the patience", () => {
  let looks = 0;
  expect(awaitThat(() => ++looks === 3, 10_000)).toBe(true);
  expect(looks).toBe(3);
  const start = performance.now();
  expect(awaitThat(() => false, 20)).toBe(false);
  expect(performance.now() - start).toBeGreaterThan(20);
});
