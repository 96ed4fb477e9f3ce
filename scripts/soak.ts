/**
 * `npm run soak`: a program that never rests (tests/fixtures/busy_everything.c: faults, breakpoints, signals, a timer, threads that
 * come and go) is dumped and left running again and again, and dumped and restored again and again. It judges itself all the
 * while and in the end: nothing may stand still, and no signal be lost.
 *
 *     bun scripts/soak.ts [dumps that leave it running, 2000 if not given] [dumps with a restore, 200]
 *
 * The exit code tells whether all went well. What failed is told with its log.
 */

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cycle, type Fixture, leaveRunning, startFixture } from "../tests/harness/fixture.ts";

const PROGRAM = "busy_everything";
/** Milliseconds at most between two dumps, at random: the program is met anywhere. */
const PAUSE = 10;
/** Seconds for a tree to stop: a machine with much else to do is no failure. */
const PATIENT = ["--timeout", "50"];
/** So often it is told how far we are. */
const WORD_EVERY = 100;
/** Milliseconds that it may take to come to its end. */
const JUDGEMENT = 60_000;

function count(word: string | undefined, otherwise: number): number {
  const wanted = word === undefined ? otherwise : Number(word);
  if (!Number.isSafeInteger(wanted) || wanted < 0) throw new Error(`soak: ${word} is no number of cycles`);
  return wanted;
}

function summary(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor((sorted.length - 1) * part)] ?? 0).toFixed(1);
  return `median ${at(0.5)} ms, 99 of 100 within ${at(0.99)} ms, longest ${at(1)} ms`;
}

async function repeat(what: string, times: number, once: () => Promise<number>): Promise<void> {
  const taken: number[] = [];
  while (taken.length < times) {
    try {
      taken.push(await once());
    } catch (error) {
      throw new Error(`${what}: number ${taken.length + 1} of ${times} failed`, { cause: error });
    }
    if (taken.length % WORD_EVERY === 0 || taken.length === times)
      console.log(`${what}: ${taken.length} of ${times}: ${summary(taken)}`);
    await Bun.sleep(Math.random() * PAUSE);
  }
}

async function soak(fixture: Fixture, running: number, restored: number): Promise<void> {
  await repeat("dump -R", running, async () => {
    const imagesDir = join(fixture.stateDir, "images");
    const { milliseconds } = await leaveRunning(fixture, { imagesDir, dumpOptions: PATIENT });
    rmSync(imagesDir, { recursive: true });
    return milliseconds;
  });
  await repeat("dump and restore", restored, async () => {
    const imagesDir = join(fixture.stateDir, "images");
    const { dumped, restored } = await cycle(fixture, { imagesDir, dumpOptions: PATIENT });
    rmSync(imagesDir, { recursive: true });
    return dumped.milliseconds + restored.milliseconds;
  });
  await fixture.finish(JUDGEMENT);
}

const fixture = await startFixture(PROGRAM);
try {
  await soak(fixture, count(process.argv[2], 2000), count(process.argv[3], 200));
  console.log("soak: nothing stood still, nothing died, no signal was lost");
} catch (error) {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  console.error(`soak: ${message}${cause instanceof Error ? `: ${cause.message}` : ""}`);
  const verdict = join(fixture.stateDir, "result");
  console.error(
    `soak: the program: ${existsSync(verdict) ? readFileSync(verdict, "utf8") : "has not judged"}`,
  );
  process.exitCode = 1;
} finally {
  await fixture.stop();
}
