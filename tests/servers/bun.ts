/** Bun: Bun.serve with state in memory and WebSockets. */
import { expect } from "bun:test";
import { join } from "node:path";
import { projectDir } from "../harness/build.ts";
import { Connection } from "./connection.ts";
import { fetchText } from "./http.ts";
import type { ServerTest } from "./server.ts";
import { WebSocketClient } from "./websocket.ts";

export const bun: ServerTest = {
  name: "bun",
  needs: [],
  plan: (_, port) => ({
    command: `${join(projectDir, "node_modules/.bin/bun")} ${join(import.meta.dir, "bun-server.ts")} ${port}`,
    inside: {
      question: "GET /?name=inside HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
      answer: "\\r\\n\\r\\ninside %ld\\n",
    },
  }),
  async load(port, load) {
    for (let i = 0; i < 4; i++) {
      const connection = await Connection.open(port);
      load.add(`counter ${i}`, async (round) => {
        expect(await fetchText(connection, `/?name=c${i}`)).toBe(`c${i} ${round + 1}\n`);
      });
    }
    for (let i = 0; i < 2; i++) {
      const socket = await WebSocketClient.open(port, "/socket");
      load.add(`WebSocket ${i}`, async (round) => {
        socket.send(`message ${round}`);
        expect(await socket.receive()).toBe(`${round + 1} message ${round}`);
      });
    }
    return async () => {};
  },
};
