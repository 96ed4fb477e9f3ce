/**
 * Images that somebody has changed: whatever they say, a restore ends in time, with one clear error or a tree, and
 * leaves nothing behind when it fails.
 *
 * FUZZ_MUTANTS=n is how many mutants are tried (3000 if not given), FUZZ_SEED=s repeats an earlier run, FUZZ_ONLY=s tries
 * the one mutant of that seed on each fixture, FUZZ_FIXTURES=a,b are the fixtures. Images differ a little from one dump to the next, and with them what a
 * seed makes of them: the story that is printed says what was changed.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type Answer, Jail, jailMissing, type Order } from "./fuzz/jail.ts";
import { mutate } from "./fuzz/mutate.ts";
import { buildFixtures } from "./harness/build.ts";
import { type Fixture, startFixture } from "./harness/fixture.ts";
import { unlock } from "./harness/lock-rules.ts";
import { dump, ourTool } from "./harness/tool.ts";

const names = process.env.FUZZ_FIXTURES?.split(",") ?? [
  "minimal",
  "cow_fork_shared",
  "comm_threads",
  "pipe",
  "file_deleted",
  "map_shared_anon",
  "pgrp_session",
  "net_namespace",
  "packet_ring",
  "tcp_local",
  "tcp_urgent",
  "udp_waiting",
  "unix_rights",
];
const mutants = Number(process.env.FUZZ_MUTANTS ?? 3000);
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const only = process.env.FUZZ_ONLY;
/** One in so many is restored by the executable. */
const OUTSIDE = 35;
const TIMEOUT_MS = 10_000;

const missing = jailMissing();
if (missing !== undefined) console.log(`fuzz: skipped: ${missing}`);

let place: string;
const bases: { name: string; base: string; stateDir: string }[] = [];
const fixtures: Fixture[] = [];

async function makeBase(name: string): Promise<void> {
  const fixture = await startFixture(name);
  fixtures.push(fixture);
  const base = join(place, name);
  mkdirSync(base);
  const outcome = await dump(fixture.pid, base, {
    options: fixture.directives.dumpOptions,
    workDir: join(place, `work-${name}`),
  });
  const { mayRefuse } = fixture.directives;
  if (!outcome.ok && mayRefuse !== undefined && outcome.errors.includes(mayRefuse)) {
    console.log(`fuzz: ${name} is refused, as it may be`);
    return;
  }
  if (!outcome.ok) throw new Error(`${name}: cannot be dumped: ${outcome.errors}`);
  bases.push({ name, base, stateDir: fixture.stateDir });
}

beforeAll(async () => {
  if (missing !== undefined) return;
  place = mkdtempSync(join(tmpdir(), "criu-ts-fuzz-"));
  chmodSync(place, 0o755);
  await buildFixtures(names);
  for (const name of names) await makeBase(name);
}, 120_000);

afterAll(async () => {
  for (const fixture of fixtures) await fixture.stop();
  for (const { base } of bases) unlock(base);
  if (place !== undefined) rmSync(place, { recursive: true, force: true });
});

/** Takes images apart here as the worker does, for the story of a mutant that killed it. */
function storyOf({ base, seed }: Order): string[] {
  const files = readdirSync(base)
    .filter((name) => name.endsWith(".img"))
    .sort();
  return mutate(new Map(files.map((name) => [name, new Uint8Array(readFileSync(join(base, name)))])), seed)
    .story;
}

function orders(): Order[] {
  if (only !== undefined)
    return bases.map(({ base, stateDir }) => ({ base, stateDir, seed: Number(only), outside: false }));
  return Array.from({ length: mutants }, (_, at) => {
    const { base = "", stateDir = "" } = bases[at % bases.length] ?? {};
    return { base, stateDir, seed: seed * 100_000 + at, outside: at % OUTSIDE === 0 };
  });
}

test.skipIf(missing !== undefined)(
  "changed images",
  async () => {
    console.log(`fuzz: ${mutants} mutants, FUZZ_SEED=${seed}`);
    const start = performance.now();
    const queue = orders();
    const counts = new Map<Answer["outcome"], number>();
    const faults: string[] = [];
    const stateDirs = bases.map(({ stateDir }) => stateDir);
    let slowest = 0;
    let leaks = 0;
    const work = async (number: number) => {
      const scratch = join(place, `scratch-${number}`);
      mkdirSync(scratch);
      const jail = new Jail(scratch, stateDirs, ourTool());
      for (let order = queue.shift(); order !== undefined; order = queue.shift()) {
        const reply = await jail.order(order, TIMEOUT_MS);
        counts.set(reply.outcome, (counts.get(reply.outcome) ?? 0) + 1);
        if (reply.outcome !== "hang") slowest = Math.max(slowest, reply.ms);
        if (!order.outside && reply.descriptors > 0) leaks++;
        const name = order.base.split("/").at(-1);
        const story = (reply.story.length > 0 ? reply.story : storyOf(order)).join("; ");
        if (process.env.FUZZ_VERBOSE !== undefined || only !== undefined)
          console.log(`${name} ${order.seed} ${reply.outcome} ${reply.descriptors} ${story}: ${reply.text}`);
        if (reply.outcome === "restored" || reply.outcome === "refused") continue;
        faults.push(
          `${reply.outcome}: ${name}, FUZZ_ONLY=${order.seed}${order.outside ? " (executable)" : ""}: ${story}: ${reply.text}`,
        );
        console.log(faults.at(-1));
      }
      await jail.close();
    };
    await Promise.all(
      Array.from({ length: Math.max(2, availableParallelism()) }, (_, number) => work(number)),
    );
    const told = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(", ");
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    console.log(
      `fuzz: ${told} in ${seconds} s; the slowest took ${slowest.toFixed(0)} ms; ${leaks} left a descriptor open`,
    );
    expect(faults).toEqual([]);
  },
  Math.max(480_000, mutants * 500),
);
