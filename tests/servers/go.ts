/** Go: net/http, with counters in memory. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { fetchText } from "./http.ts";
import type { ServerTest } from "./server.ts";

export const go: ServerTest = {
  name: "go",
  needs: ["go"],
  plan(dir, port) {
    const out = join(dir, "server");
    const build = Bun.spawnSync(["go", "build", "-o", out, join(import.meta.dir, "go-server.go")], {
      env: {
        ...process.env,
        GOCACHE: join(dir, "cache"),
        GOFLAGS: "-mod=mod",
        GO111MODULE: "off",
        HOME: dir,
      },
    });
    if (build.exitCode !== 0) throw new Error(build.stderr.toString());
    return {
      command: `${out} ${port}`,
      inside: {
        question: "GET /?inside HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
        answer: "\\r\\n\\r\\ninside %ld\\n",
      },
    };
  },
  async load(port, load) {
    for (let i = 0; i < 8; i++) {
      const connection = await Connection.open(port);
      load.add(`client ${i}`, async (round) => {
        expect(await fetchText(connection, `/?c${i}`)).toBe(`c${i} ${round + 1}\n`);
      });
    }
    return async () => {};
  },
};
