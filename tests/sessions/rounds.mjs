/** Workers, timers, children and a server on a Unix socket, for Node and Bun; each round needs all of them. */
import assert from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";

const worker = new Worker(
  `const { parentPort } = require("node:worker_threads");
   parentPort.on("message", (n) => { let sum = 0; for (let i = 0; i <= n * 1000; i++) sum += i; parentPort.postMessage(sum); });`,
  { eval: true },
);
const server = net.createServer((socket) => {
  createInterface({ input: socket }).on("line", (line) => socket.write(`${line.toUpperCase()}\n`));
});
server.listen("socket");
await once(server, "listening");
const client = net.connect("socket");
const answers = createInterface({ input: client });
const cat = spawn("cat", { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: cat.stdout });
let ended = false;
process.stdin.once("data", () => {
  ended = true;
});
let ticks = 0;
const ticking = setInterval(() => ticks++, 10);
let signals = 0;
process.on("SIGUSR2", () => signals++);

let rounds = 0;
while (!ended) {
  rounds++;
  const answer = once(answers, "line");
  client.write(`question ${rounds}\n`);
  assert.equal((await answer)[0], `QUESTION ${rounds}`);
  const line = once(lines, "line");
  cat.stdin.write(`line ${rounds}\n`);
  assert.equal((await line)[0], `line ${rounds}`);
  const summed = once(worker, "message");
  worker.postMessage(rounds);
  assert.equal((await summed)[0], (rounds * 1000 * (rounds * 1000 + 1)) / 2);
  const before = [ticks, signals];
  const child = spawn("sh", ["-c", `sleep 0.05; kill -USR2 ${process.pid}; exit 7`]);
  assert.equal((await once(child, "exit"))[0], 7);
  for (let i = 0; (ticks <= before[0] || signals <= before[1]) && i < 1000; i++) await sleep(10);
  assert.ok(ticks > before[0] && signals > before[1]);
  console.log(`round ${rounds}`);
}
clearInterval(ticking);
cat.stdin.end();
await once(cat, "exit");
await worker.terminate();
client.end();
server.close();
process.stdin.destroy();
console.log(`end: ${rounds} rounds`);
