/**
 * `npm test`: the static checks and every test file, one after the other, each in a process of its own. The last line
 * is the count of all, `N passed, N failed, N skipped`.
 *
 *     bun scripts/test.ts [part of a path ...]
 *
 * A file that does not end in its time (FILE_MINUTES, 25 if not given) or in the time left (TEST_MINUTES in all, 39 if
 * not given) is killed and counts as failed. So does one that leaves processes behind, which are killed.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adoptOrphans, killAll, processState, processTree, readText } from "../tests/harness/processes.ts";

/** What has a command of its own, as it needs packages of Debian's that are not installed for the others: npm run test:containers. */
const ELSEWHERE = /^tests\/containers\//;
/** Milliseconds for a test that says nothing else: a machine may be busy. */
const PATIENCE = 60_000;
process.chdir(join(import.meta.dir, ".."));
const deadline = Date.now() + Number(process.env.TEST_MINUTES ?? 39) * 60_000;
const fileTime = Number(process.env.FILE_MINUTES ?? 25) * 60_000;
const parts = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const reportDir = mkdtempSync(join(tmpdir(), "criu-ts-test-"));

/**
 * Ends what a test has started and not ended: the names of those that still ran. Who has been killed, or ends as it
 * sees its connection gone, needs a moment for it.
 */
async function endLeftovers(): Promise<string[]> {
  const descendants = () => processTree(process.pid).filter((pid) => pid !== process.pid);
  const running = () => descendants().filter((pid) => !["Z", "X", undefined].includes(processState(pid)));
  const patience = Date.now() + 2000;
  while (running().length > 0 && Date.now() < patience) await Bun.sleep(10);
  const left = descendants();
  const alive = running();
  const names = alive.map((pid) => `${pid} (${readText(`/proc/${pid}/comm`)?.trim()})`);
  await killAll(left);
  return names;
}

/** Runs a command on our own terminal until it ends or the time is over: its exit code, undefined when killed. */
async function run(command: string[]): Promise<number | undefined> {
  const child = Bun.spawn(command, { stdio: ["ignore", "inherit", "inherit"] });
  let late = false;
  const alarm = setTimeout(
    () => {
      late = true;
      child.kill("SIGKILL");
    },
    Math.max(Math.min(deadline - Date.now(), fileTime), 0),
  );
  const code = await child.exited;
  clearTimeout(alarm);
  return late ? undefined : code;
}

function unescaped(text: string): string {
  const characters: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => characters[name] ?? "");
}

function failed(what: string): void {
  total.failed++;
  failures.push(what);
}

async function check(name: string, command: string[]): Promise<void> {
  console.log(`\n${name}`);
  if ((await run(command)) === 0) total.passed++;
  else failed(name);
}

async function testFile(file: string, index: number): Promise<void> {
  const report = join(reportDir, `${index}.xml`);
  const code = await run([
    process.execPath,
    "test",
    `./${file}`,
    `--timeout=${PATIENCE}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
  ]);
  const left = await endLeftovers();
  if (code === undefined) return failed(`${file}: killed, its time is over`);
  if (left.length > 0) failed(`${file}: left running: ${left.join(", ")}`);
  let text = "";
  try {
    text = readFileSync(report, "utf8");
  } catch {}
  const attributes = text.match(/<testsuites [^>]*>/)?.[0] ?? "";
  const count = (name: string) => Number(attributes.match(new RegExp(` ${name}="(\\d+)"`))?.[1] ?? 0);
  total.passed += count("tests") - count("failures") - count("skipped");
  total.skipped += count("skipped");
  total.failed += count("failures");
  // Groups come innermost first.
  for (const [, name = "", group = ""] of text.matchAll(
    /<testcase name="([^"]*)" classname="([^"]*)"[^>]*>\s*<failure/g,
  ))
    failures.push(
      `${file}: ${[...group.split(" &gt; ").reverse(), name].filter(Boolean).map(unescaped).join(" > ")}`,
    );
  // It did not load, threw outside of any test, or died.
  if (code !== 0 && count("failures") === 0) failed(`${file}: ended with ${code}`);
}

/** Quick ones first: what stands beside the sources, then whole runs of the tool, then the longest. */
function order(file: string): string {
  const last = ["tests/programs", "tests/nothing-lost", "tests/fuzz"].findIndex((start) =>
    file.startsWith(start),
  );
  return `${file.startsWith("tests/") ? 1 : 0}${last + 1}${file}`;
}

adoptOrphans();
const files = [...new Bun.Glob("{src,scripts,tests}/**/*.test.ts").scanSync(".")]
  .filter((file) => (parts.length === 0 ? !ELSEWHERE.test(file) : parts.some((part) => file.includes(part))))
  .sort((a, b) => (order(a) < order(b) ? -1 : 1));

if (parts.length === 0) {
  await check("types (tsc)", ["node_modules/.bin/tsc", "--noEmit"]);
  await check("style (biome)", ["node_modules/.bin/biome", "check", "--error-on-warnings"]);
  await check("layers and rules (scripts/check-house.ts)", [process.execPath, "scripts/check-house.ts"]);
}
for (const [index, file] of files.entries()) await testFile(file, index);

rmSync(reportDir, { recursive: true, force: true });
if (failures.length > 0) console.log(`\nfailed:\n  ${failures.join("\n  ")}`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
