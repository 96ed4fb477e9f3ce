// A server for node.ts to test: HTTP with state in memory, a WebSocket, work in a worker, an endless download.
import { createServer } from "node:http";
import { Worker } from "node:worker_threads";
import { WebSocketServer } from "ws";

const [port, address] = process.argv.slice(2);

const counts = new Map();
const worker = new Worker(
  `const { parentPort } = require("node:worker_threads");
   parentPort.on("message", ({ id, n }) => {
     let sum = 0;
     for (let i = 1; i <= n; i++) sum += i;
     parentPort.postMessage({ id, sum });
   });`,
  { eval: true },
);
const asked = new Map();
worker.on("message", ({ id, sum }) => {
  asked.get(id)(sum);
  asked.delete(id);
});

const PERIOD = 1 << 20;
const part = Buffer.alloc(PERIOD);
for (let at = 0; at < PERIOD; at++) part[at] = (Math.imul(at, 2654435761) >>> 13) & 0xff;

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://test");
  const name = url.searchParams.get("name");
  switch (url.pathname) {
    case "/count":
      counts.set(name, (counts.get(name) ?? 0) + 1);
      response.end(`${name} ${counts.get(name)}\n`);
      return;
    case "/sum":
      asked.set(name, (sum) => response.end(`${sum}\n`));
      worker.postMessage({ id: name, n: Number(url.searchParams.get("n")) });
      return;
    case "/large": {
      const send = () => {
        while (!response.destroyed && response.write(part.subarray(0)));
        response.once("drain", send);
      };
      response.writeHead(200, { "content-length": String(1024 * PERIOD) });
      send();
      return;
    }
    default:
      response.writeHead(404).end();
  }
});
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => {
  let received = 0;
  socket.on("message", (data) => socket.send(`${++received} ${data}`));
});
server.listen(Number(port), address);
