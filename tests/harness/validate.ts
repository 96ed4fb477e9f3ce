/**
 * Runs fixtures with given executables and prints a table:
 *
 *     bun tests/harness/validate.ts [--none] [--dump BIN] [--restore BIN] [--cycles N] [--verbose] [--keep] [name ...]
 *
 * Without --dump and --restore ours is used; --none does not dump at all; a name may hold * as a wildcard. The exit
 * code is the number of fixtures that failed, at most 100.
 */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildFixtures, fixtureNames } from "./build.ts";
import { cycle, type Fixture, FixtureFailed, Skipped, startFixture } from "./fixture.ts";
import { compareSnapshots, snapshotProc } from "./processes.ts";
import { dump, ourTool, type Tool } from "./tool.ts";

const names: string[] = [];
let dumpTool: Tool = ourTool();
let restoreTool: Tool = ourTool();
let cyclesWanted = 2;
let undisturbed = false;
let verbose = false;
let keep = false;
const args = process.argv.slice(2);
for (let word = args.shift(); word !== undefined; word = args.shift()) {
  if (word === "--dump") dumpTool = (args.shift() ?? "").split(" ");
  else if (word === "--restore") restoreTool = (args.shift() ?? "").split(" ");
  else if (word === "--cycles") cyclesWanted = Number(args.shift());
  else if (word === "--none") undisturbed = true;
  else if (word === "--verbose") verbose = true;
  else if (word === "--keep") keep = true;
  else if (word.startsWith("-")) throw new Error(`unknown option ${word}`);
  else names.push(word);
}

const patterns = names.map((name) => new RegExp(`^${name.replaceAll("*", ".*")}$`));
const chosen = fixtureNames().filter(
  (name) => names.length === 0 || patterns.some((pattern) => pattern.test(name)),
);
await buildFixtures(chosen);

async function run(name: string): Promise<string> {
  let fixture: Fixture | undefined;
  const times: string[] = [];
  try {
    fixture = await startFixture(name);
    const { fails } = fixture.directives;
    if (!undisturbed && fails !== undefined) {
      const before = snapshotProc(fixture.pid);
      const outcome = await dump(fixture.pid, join(fixture.stateDir, "images"), { tool: dumpTool });
      if (outcome.ok) throw new FixtureFailed("the dump should have failed");
      const differences = compareSnapshots(before, snapshotProc(fixture.pid));
      if (differences.length > 0)
        throw new FixtureFailed(`the failed dump changed: ${differences.join("\n")}`);
      if (!outcome.log.includes(fails))
        throw new FixtureFailed(`no "${fails}" in the log:\n${outcome.errors}`);
    } else if (!undisturbed) {
      for (let at = 0; at < cyclesWanted; at++) {
        const { dumped, restored } = await cycle(fixture, { dumpTool, restoreTool });
        times.push(`${dumped.milliseconds.toFixed(0)}/${restored.milliseconds.toFixed(0)}`);
      }
    }
    await fixture.finish();
    return `pass  ${times.join(" ")}`;
  } catch (error) {
    if (error instanceof Skipped) return `skip  ${error.message}`;
    const text = error instanceof Error ? error.message : String(error);
    if (keep && fixture !== undefined) {
      const kept = join(tmpdir(), `kept-${name}`);
      Bun.spawnSync(["rm", "-rf", kept]);
      Bun.spawnSync(["cp", "-a", fixture.stateDir, kept]);
      return `FAIL  ${text}\n    kept in ${kept}`;
    }
    const known = fixture === undefined ? [] : [fixture.directives.peerDump, fixture.directives.peerRestore];
    const note = known.some((why) => why !== undefined)
      ? `\n    (known of the peer: ${known.join("; ")})`
      : "";
    return `FAIL${note === "" ? "  " : "* "}${verbose ? text : text.split("\n").slice(0, 3).join("\n    ")}${note}`;
  } finally {
    await fixture?.stop();
  }
}

const count = { pass: 0, skip: 0, FAIL: 0 };
for (const name of chosen) {
  const line = await run(name);
  const word = line.slice(0, 4);
  if (word === "pass" || word === "skip" || word === "FAIL") count[word]++;
  console.log(`${name.padEnd(28)} ${line}`);
}
console.log(`\n${count.pass} passed, ${count.FAIL} failed, ${count.skip} skipped`);
process.exit(Math.min(count.FAIL, 100));
