import { expect, test } from "bun:test";
import { Meter } from "./progress.ts";

test("shows how much and how fast after a second, not too often, and clears the line at the end", () => {
  const shown: (string | undefined)[] = [];
  let now = 5000;
  const meter = new Meter(
    "memory",
    (text) => shown.push(text),
    () => now,
  );
  for (let i = 0; i < 20; i++) {
    meter.moved(64 << 20);
    now += 100;
  }
  meter.end();
  // From the eleventh on, every other one.
  expect(shown).toEqual([
    "memory: 704 MiB, 704 MiB/s",
    "memory: 832 MiB, 693 MiB/s",
    "memory: 960 MiB, 686 MiB/s",
    "memory: 1.06 GiB, 680 MiB/s",
    "memory: 1.19 GiB, 676 MiB/s",
    undefined,
  ]);
  shown.length = 0;
  meter.moved(5);
  meter.end();
  expect(shown).toEqual([]);
});
