/** node: an HTTP server with its state in memory, a worker, WebSockets by ws, and a download without end. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { Download, fetchText, head, request } from "./http.ts";
import type { ServerTest } from "./server.ts";

const PERIOD = 1 << 20;

/** A frame of text from a client (RFC 6455): at most 125 bytes, masked with zeros. */
function frame(text: string): Buffer {
  return Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), Buffer.from(text)]);
}

/** The text of a short frame from the server. */
async function frameOf(connection: Connection): Promise<string> {
  const [kind, length = 0] = await connection.bytes(2);
  if (kind !== 0x81) throw new Error(`a frame of kind ${kind}`);
  return (await connection.bytes(length)).toString("latin1");
}

export const node: ServerTest = {
  name: "node",
  needs: ["node"],
  plan: (_, port) => ({
    command: `node ${join(import.meta.dir, "node-server.mjs")} ${port}`,
    question: "GET /count?name=inside HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
    answer: "\\r\\n\\r\\ninside %ld\\n",
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
      const socket = await Connection.open(port);
      socket.send(
        "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      );
      expect((await head(socket)).status).toBe(101);
      load.add(`WebSocket ${i}`, async (round) => {
        socket.send(frame(`message ${round}`));
        expect(await frameOf(socket)).toBe(`${round + 1} message ${round}`);
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
