/**
 * What runs inside a machine of `npm run test:kernels`: fixtures are dumped and restored once each, and programs while they
 * work, by the executable that starts cold, then by one made warm here. Says how each came out, a line each, for machine.ts.
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fixtureNames, projectDir } from "../harness/build.ts";
import { cycle, Refused, refusedDump, Skipped, startFixture } from "../harness/fixture.ts";
import { programs, writeInputs } from "../programs/list.ts";
import { runProgram } from "../programs/run.ts";
import type { Job } from "./machine.ts";

const job: Job = JSON.parse(readFileSync(join(projectDir, "job.json"), "utf8"));
const deadline = Date.now() + job.minutes * 60_000;

function say(outcome: string, how: string, name: string, words = ""): void {
  console.log(
    `@ ${outcome} ${how} ${name} ${words
      .trim()
      .replace(/\s*\n\s*/g, " | ")
      .slice(0, 2000)}`,
  );
}

const inWords = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Takes one fixture through a dump and a restore. */
async function tryFixture(how: string, name: string): Promise<void> {
  let refused = "";
  let fixture: Awaited<ReturnType<typeof startFixture>> | undefined;
  const start = performance.now();
  try {
    fixture = await startFixture(name);
    try {
      if (fixture.directives.fails !== undefined) await refusedDump(fixture);
      else {
        const { differences } = await cycle(fixture);
        if (differences.length > 0) throw new Error(`/proc shows otherwise:\n${differences.join("\n")}`);
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused = `refused, as it may be: ${inWords(error).split("\n").at(-1)}`;
    }
    await fixture.finish();
    say("pass", how, name, refused || `${Math.round(performance.now() - start)} ms`);
  } catch (error) {
    say(error instanceof Skipped ? "skip" : "fail", how, name, inWords(error));
  } finally {
    await fixture?.stop();
  }
}

/** Runs a program undisturbed, and dumped and restored twice while it works: the same must come of it. */
async function tryProgram(how: string, name: string, input: string): Promise<void> {
  const program = programs.find((each) => each.name === name);
  const lacking = program?.needs.filter((each) => Bun.which(each) === null) ?? [name];
  if (program === undefined || lacking.length > 0)
    return say("skip", how, name, `no ${lacking.join(", ")} here`);
  const dir = mkdtempSync(join(tmpdir(), "criu-ts-program-"));
  try {
    const left = await runProgram(program, join(dir, "undisturbed"), input, []);
    const moments = [left.cpuMs * 0.3, left.cpuMs * 0.6];
    const disturbed = await runProgram(program, join(dir, "disturbed"), input, moments);
    const same = Bun.deepEquals([left.outputs, left.status], [disturbed.outputs, disturbed.status]);
    if (!same || disturbed.cycles === 0)
      throw new Error(`${disturbed.cycles} dumps: ${JSON.stringify(disturbed)}`);
    say("pass", how, name, `${disturbed.cycles} dumps`);
  } catch (error) {
    say("fail", how, name, inWords(error));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Makes the executable that starts warm, on this very kernel and processor. Says why it cannot be had, if so. */
async function makeWarm(cold: string, warm: string): Promise<boolean> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "warm.ts"), cold, warm], {
    stderr: "pipe",
  });
  const words = await new Response(child.stderr).text();
  if ((await child.exited) === 0 && existsSync(warm)) return true;
  say("fail", "warm", "build", words);
  return false;
}

const cold = join(projectDir, "cold/criu");
const warm = join(projectDir, "warm/criu");
mkdirSync(join(projectDir, "warm"), { recursive: true });
let input: string | undefined;
console.log(`@ is ${readFileSync("/proc/version", "utf8")}`);
for (const how of job.ways) {
  if (how === "warm" && !(await makeWarm(cold, warm))) continue;
  process.env.CRIU_BIN = how === "warm" ? warm : cold;
  for (const name of job.fixtures.length === 0 ? fixtureNames() : job.fixtures) {
    if (Date.now() > deadline) say("fail", how, name, "the time is over");
    else await tryFixture(how, name);
  }
  for (const name of job.programs) {
    if (input === undefined) {
      input = mkdtempSync(join(tmpdir(), "criu-ts-input-"));
      writeInputs(input);
    }
    if (Date.now() > deadline) say("fail", how, name, "the time is over");
    else await tryProgram(how, name, input);
  }
}
