// A server for demo.ts: it counts, in its memory, how often each connection has asked.
import { createServer } from "node:http";
import type { Socket } from "node:net";

const counts = new WeakMap<Socket, number>();
const started = Math.random().toString(36).slice(2, 8);

const server = createServer((request, response) => {
  const count = (counts.get(request.socket) ?? 0) + 1;
  counts.set(request.socket, count);
  response.end(`answer ${count} on this connection, by the server that began as ${started}\n`);
});
server.keepAliveTimeout = 0;
server.listen(Number(process.argv[2]), "127.0.0.1");
