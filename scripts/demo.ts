/**
 * `npm run demo`: a process tree that computes is dumped, is gone, is restored, and goes on from the same number; and so is a
 * server of HTTP in TypeScript, while a client is connected to it. Exit code 0 only if all that the tree has printed in the end is
 * what it prints undisturbed, and the client was answered on its one connection as if nothing had been.
 */

import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adoptOrphans,
  killAll,
  processState,
  processTree,
  readText,
  threadsOf,
  waitGone,
} from "../tests/harness/processes.ts";
import { dump, type Outcome, ourTool, restore } from "../tests/harness/tool.ts";
import { Connection } from "../tests/servers/connection.ts";
import { fetchText } from "../tests/servers/http.ts";
import { freePort } from "../tests/servers/port.ts";

const stepsBefore = 8;
const stepsAll = 18;
const program = ["/usr/bin/python3", join(import.meta.dir, "demo/tree.py")];

const terminal = process.stdout.isTTY === true;
const styled = (code: number, text: string) => (terminal ? `\x1b[${code}m${text}\x1b[0m` : text);
const heading = (text: string) => console.log(`\n${styled(1, text)}`);
const command = (text: string) => console.log(`  ${styled(36, `$ ${text}`)}`);

class DemoFailed extends Error {}

/** Prints what is new in the file, until it has `lines` lines. */
async function follow(path: string, printed: number, lines: number, pid: number): Promise<number> {
  const end = Date.now() + 20_000;
  for (let shown = printed; ; await Bun.sleep(20)) {
    const complete = (readText(path) ?? "").split("\n").slice(0, -1);
    for (const line of complete.slice(shown)) console.log(`  | ${line}`);
    shown = Math.max(shown, complete.length);
    if (shown >= lines) return shown;
    if (Date.now() > end) throw new DemoFailed("it does not go on");
    if ((processState(pid) ?? "Z") === "Z" && shown === complete.length && complete.length < lines) {
      await Bun.sleep(50);
      if ((readText(path) ?? "").split("\n").length - 1 < lines)
        throw new DemoFailed("it has ended too early");
    }
  }
}

function showTree(root: number): void {
  for (const pid of processTree(root)) {
    const threads = threadsOf(pid);
    const what = pid === root ? "parent" : "  child";
    const memory = readText(`/proc/${pid}/status`)?.match(/VmRSS:\s*(\d+)/)?.[1] ?? "0";
    const held = readdirSync(`/proc/${pid}/fd`).length;
    console.log(
      `  ${what.padEnd(9)} pid ${pid}   ${threads.length} thread${threads.length === 1 ? " " : "s"}   ` +
        `${held} descriptors   ${(Number(memory) / 1024).toFixed(0)} MiB`,
    );
  }
}

function showImages(dir: string): void {
  const files = readdirSync(dir)
    .filter((name) => name.endsWith(".img"))
    .map((name) => ({ name, size: statSync(join(dir, name)).size }))
    .sort((a, b) => b.size - a.size);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const cells = files.map(({ name, size }) => `${name.padEnd(22)} ${size.toLocaleString("en").padStart(10)}`);
  const rows = Math.ceil(cells.length / 2);
  for (let row = 0; row < rows; row++)
    console.log(`  ${cells[row] ?? ""}     ${cells[row + rows] ?? ""}`.trimEnd());
  console.log(`  ${files.length} images, ${(total / 2 ** 20).toFixed(1)} MiB together`);
}

function sayOutcome(what: string, outcome: Outcome): void {
  if (!outcome.ok) throw new DemoFailed(`${what} ended with ${outcome.exitCode}:\n${outcome.errors}`);
  console.log(`  done in ${outcome.milliseconds.toFixed(0)} ms`);
}

async function demo(dir: string): Promise<void> {
  const output = join(dir, "output");
  const images = join(dir, "images");
  const tool = ourTool().join(" ");

  heading("A parent with a thread and two children count, hash and find digits of pi, a line every step");
  const file = openSync(output, "w");
  const child = Bun.spawn(["setsid", ...program, "0.12", String(stepsAll)], {
    cwd: dir,
    stdio: ["ignore", file, file],
  });
  closeSync(file);
  const root = child.pid;
  const members = new Set([root]);
  try {
    let shown = await follow(output, 0, stepsBefore, root);
    showTree(root);

    heading("Dump it");
    for (const pid of processTree(root)) members.add(pid);
    command(`${tool} dump -t ${root} -D images`);
    sayOutcome("dump", await dump(root, images, { verbosity: 2 }));

    heading("It is gone");
    const left = await waitGone([...members], 3000);
    if (left.length > 0) throw new DemoFailed(`these still live: ${left.join(" ")}`);
    console.log(`  no process ${[...members].join(", ")}; what is left of it:`);
    showImages(images);
    shown = await follow(output, shown, shown, root);
    await Bun.sleep(700);
    if ((readText(output) ?? "").split("\n").length - 1 !== shown)
      throw new DemoFailed("something still prints");

    heading("Restore it");
    command(`${tool} restore -d -D images`);
    sayOutcome("restore", await restore(images, { verbosity: 2 }));
    showTree(root);

    heading(`It goes on after step ${shown}`);
    await follow(output, shown, stepsAll, root);
    const alive = await waitGone([root], 3000);
    if (alive.length > 0) throw new DemoFailed("it does not end");
  } finally {
    await killAll([...members, ...processTree(root)]);
  }

  const undisturbed = Bun.spawnSync([...program, "0", String(stepsAll)]).stdout.toString();
  if (readFileSync(output, "utf8") !== undisturbed)
    throw new DemoFailed(`undisturbed it prints something else:\n${undisturbed}`);
  heading(styled(32, `All ${stepsAll} lines are those of an undisturbed run.`));
}

const answersBefore = 3;

/** Asks the next question over the connection, and prints the answer. */
async function askServer(client: Connection): Promise<string> {
  const answer = (await fetchText(client, "/")).trim();
  console.log(`  | ${answer}`);
  return answer;
}

async function demoServer(dir: string): Promise<void> {
  const images = join(dir, "server-images");
  const tool = ourTool().join(" ");
  const options = ["--tcp-established", "--network-lock", "nftables"];

  heading("A server of HTTP in TypeScript, and a client that stays connected to it");
  const port = await freePort();
  const server = ["setsid", process.execPath, join(import.meta.dir, "demo/server.ts"), String(port)];
  const output = openSync(join(dir, "server-output"), "w");
  const { pid } = Bun.spawn(server, { cwd: dir, stdio: ["ignore", output, output] });
  closeSync(output);
  const members = new Set([pid]);
  try {
    const client = await Connection.open(port);
    let last = "";
    for (let i = 0; i < answersBefore; i++) last = await askServer(client);
    showTree(pid);

    heading("Dump it, with its connection");
    for (const member of processTree(pid)) members.add(member);
    command(`${tool} dump -t ${pid} -D images ${options.join(" ")}`);
    sayOutcome("dump", await dump(pid, images, { verbosity: 2, options }));
    const left = await waitGone([...members], 3000);
    if (left.length > 0) throw new DemoFailed(`these still live: ${left.join(" ")}`);

    heading("It is gone; the client asks all the same, and hears nothing: no answer, no reset");
    const next = askServer(client);
    await Bun.sleep(700);

    heading("Restore it");
    command(`${tool} restore -d -D images --tcp-established`);
    sayOutcome("restore", await restore(images, { verbosity: 2, options: ["--tcp-established"] }));
    const expected = last.replace(`answer ${answersBefore} `, `answer ${answersBefore + 1} `);
    if ((await next) !== expected) throw new DemoFailed(`the client expected: ${expected}`);
    await askServer(client);
    client.close();
  } finally {
    await killAll([...members, ...processTree(pid)]);
  }
  heading(styled(32, "The same connection, the same server, the same count."));
}

if (process.getuid?.() !== 0) {
  console.error("demo: needs root: run it with sudo, or in a container as root");
  process.exit(1);
}
adoptOrphans();
const dir = mkdtempSync(join(tmpdir(), "criu-ts-demo-"));
let code = 0;
try {
  await demo(dir);
  await demoServer(dir);
} catch (error) {
  code = 1;
  console.error(`\ndemo: ${error instanceof DemoFailed ? error.message : String(error)}`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(code);
