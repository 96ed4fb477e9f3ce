/**
 * Runs fixtures with given executables and prints a table:
 *
 *     bun tests/harness/validate.ts [--none] [--dump BIN] [--restore BIN] [--cycles N] [--verbose] [--keep] [--compare] [name ...]
 *
 * Without --dump and --restore ours is used; --none does not dump at all; a name may hold * as a wildcard. The exit
 * code is the number of fixtures that failed, at most 100.
 */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildFixtures, fixtureNames } from "./build.ts";
import { cycle, type Fixture, Refused, refusedDump, Skipped, startFixture } from "./fixture.ts";
import { ourTool, type Tool } from "./tool.ts";

const names: string[] = [];
let dumpTool: Tool = ourTool();
let restoreTool: Tool = ourTool();
let cyclesWanted = 2;
let undisturbed = false;
let verbose = false;
let keep = false;
let compare = false;
const args = process.argv.slice(2);
for (let word = args.shift(); word !== undefined; word = args.shift()) {
  if (word === "--dump") dumpTool = (args.shift() ?? "").split(" ");
  else if (word === "--restore") restoreTool = (args.shift() ?? "").split(" ");
  else if (word === "--cycles") cyclesWanted = Number(args.shift());
  else if (word === "--none") undisturbed = true;
  else if (word === "--verbose") verbose = true;
  else if (word === "--keep") keep = true;
  else if (word === "--compare") compare = true;
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
  let seen = "";
  try {
    fixture = await startFixture(name);
    const { fails } = fixture.directives;
    if (!undisturbed && fails !== undefined) {
      await refusedDump(fixture, { dumpTool });
    } else if (!undisturbed) {
      for (let at = 0; at < cyclesWanted; at++) {
        const { dumped, restored, differences } = await cycle(fixture, { dumpTool, restoreTool });
        if (compare && differences.length > 0) seen += `\n${differences.join("\n")}`;
        times.push(`${dumped.milliseconds.toFixed(0)}/${restored.milliseconds.toFixed(0)}`);
      }
    }
    await fixture.finish();
    return `pass  ${times.join(" ")}${seen.replaceAll("\n", "\n      ")}`;
  } catch (error) {
    if (error instanceof Refused) {
      await fixture?.finish();
      return `pass  (refused: ${error.message.split("\n").at(-1)})`;
    }
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
