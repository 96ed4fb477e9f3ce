/** node: an HTTP server with its state in memory, a worker, WebSockets by ws, and a download without end. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { Download, fetchText, head, request } from "./http.ts";
import type { ServerTest } from "./server.ts";
import { WebSocketClient } from "./websocket.ts";

const PERIOD = 1 << 20;

export const node: ServerTest = {
  name: "node",
  needs: ["node"],
  plan: (_, port, address) => ({
    command: `node ${join(import.meta.dir, "node-server.mjs")} ${port} ${address}`,
    inside: {
      question: "GET /count?name=inside HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
      answer: "\\r\\n\\r\\ninside %ld\\n",
    },
  }),
  async load(port, load) {
    for (let i = 0; i < 4; i++) {
      const connection = await Connection.open(port);
      load.add(`counter ${i}`, async (round) => {
        expect(await fetchText(connection, `/count?name=c${i}`)).toBe(`c${i} ${round + 1}\n`);
      });
    }
    const worked = await Connection.open(port);
    load.add("worker", async (round) => {
      const n = 1000 + round;
      expect(await fetchText(worked, `/sum?name=${round}&n=${n}`)).toBe(`${(n * (n + 1)) / 2}\n`);
    });
    for (let i = 0; i < 2; i++) {
      const socket = await WebSocketClient.open(port, "/");
      load.add(`WebSocket ${i}`, async (round) => {
        socket.send(`message ${round}`);
        expect(await socket.receive()).toBe(`${round + 1} message ${round}`);
      });
    }
    const slow = await Connection.open(port);
    request(slow, "/large");
    await head(slow);
    const download = new Download(slow, PERIOD, 30_011);
    load.add("download", () => download.round());
    return async () => {};
  },
};
