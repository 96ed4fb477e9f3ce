/**
 * Interrupted work ends as if never interrupted: unmodified programs of Debian, dumped and restored at random moments
 * while they work, end with the same exit status and the same bytes as in an undisturbed run.
 *
 * PROGRAM=xz,bc selects; PROGRAM_CYCLES=20 is how often each is dumped (5 if not given); PROGRAM_SEED=... repeats the
 * moments of an earlier run (in processor time, which a busy machine stretches less than the clock's).
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FixtureFailed } from "./harness/fixture.ts";
import { patience } from "./harness/patience.ts";
import { generator } from "./programs/data.ts";
import { programs, writeInputs } from "./programs/list.ts";
import { runProgram } from "./programs/run.ts";

const cyclesWanted = Number(process.env.PROGRAM_CYCLES ?? 5);
const seed = Number(process.env.PROGRAM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const chosen = process.env.PROGRAM?.split(",");
const root = process.getuid?.() === 0;

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-programs-"));
  mkdirSync(join(dir, "input"));
  if (root) writeInputs(join(dir, "input"));
  console.log(`PROGRAM_SEED=${seed}`);
}, patience(60_000));
afterAll(() => {
  if (process.env.PROGRAM_KEEP === undefined) rmSync(dir, { recursive: true, force: true });
});

/** One moment in each of as many equal parts of a run of `length`, but for its last seventh. */
function moments(length: number, draw: () => number): number[] {
  const part = (length * 0.86) / cyclesWanted;
  return Array.from({ length: cyclesWanted }, (_, at) => (at + draw() / 2 ** 32) * part);
}

for (const [index, program] of programs.entries()) {
  if (chosen !== undefined && !chosen.includes(program.name)) continue;
  const lacking = program.needs.filter((name) => Bun.which(name) === null);
  const why = !root ? "needs root" : lacking.length > 0 ? `no ${lacking.join(", ")} here` : "";
  if (why !== "") console.log(`skipped: ${program.name}: ${why}`);
  test.skipIf(why !== "")(
    `${program.name}: ${cyclesWanted} times dumped and restored while it works`,
    async () => {
      const input = join(dir, "input");
      const undisturbed = await runProgram(program, join(dir, "undisturbed"), input, []);
      const draw = generator(seed + index * 7919);
      // A disturbed run that was so much quicker that it ended before its last moment is repeated with its own time.
      let length = undisturbed.cpuMs;
      for (let attempt = 1; ; attempt++) {
        const wanted = moments(length, draw);
        const disturbed = await runProgram(program, join(dir, "disturbed"), input, wanted);
        console.log(
          `${program.name}: ${(undisturbed.cpuMs / 1000).toFixed(1)} s, status ${disturbed.status}, ` +
            `dumped at ${wanted.map((ms) => (ms / 1000).toFixed(2)).join(" ")} s, ` +
            `dump/restore ${disturbed.times.join(" ")} ms`,
        );
        expect(disturbed.outputs).toEqual(undisturbed.outputs);
        expect(disturbed.status).toBe(undisturbed.status);
        expect(disturbed.rootStatus).toBe(undisturbed.rootStatus);
        if (disturbed.cycles >= cyclesWanted) break;
        if (attempt === 3) throw new FixtureFailed(`only ${disturbed.cycles} dumps before it ended`);
        length = disturbed.cpuMs;
      }
    },
    patience(300_000),
  );
}
