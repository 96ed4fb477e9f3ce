/** Java: an HTTP server with many threads, while garbage is collected. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { fetchText } from "./http.ts";
import type { ServerTest } from "./server.ts";

export const java: ServerTest = {
  name: "java",
  needs: ["java", "javac"],
  plan: (_, port, address) => ({
    command: `java -Xmx128m -Dsun.net.httpserver.maxReqTime=-1 ${join(import.meta.dir, "java-server.java")} ${port} ${address}`,
    inside: {
      question: "GET /?inside HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
      answer: "\\r\\n\\r\\ninside %ld\\n",
    },
  }),
  async load(port, load) {
    for (let i = 0; i < 8; i++) {
      const connection = await Connection.open(port, 60_000);
      load.add(`client ${i}`, async (round) => {
        expect(await fetchText(connection, `/?c${i}`)).toBe(`c${i} ${round + 1}\n`);
      });
    }
    return async () => {};
  },
};
