/** haproxy: connections kept open to it, and through it to itself. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { fetchText } from "./http.ts";
import type { ServerTest } from "./server.ts";

/** Behind the port that clients connect to is one more, of which nobody else knows. */
function configuration(port: number): string {
  return `
global
  nbthread 4
  maxconn 200
defaults
  timeout connect 60s
  timeout client 600s
  timeout server 600s
  timeout http-request 600s
  timeout http-keep-alive 600s
frontend outside
  mode tcp
  bind 127.0.0.1:${port}
  default_backend inner
backend inner
  mode tcp
  server inner abns@criu-ts-${port}
frontend inside
  mode http
  bind abns@criu-ts-${port}
  http-request return status 200 content-type text/plain lf-string "%[query]\\n"
`;
}

export const haproxy: ServerTest = {
  name: "haproxy",
  needs: ["haproxy"],
  plan(dir, port) {
    writeFileSync(join(dir, "haproxy.cfg"), configuration(port));
    return {
      command: `haproxy -db -f ${dir}/haproxy.cfg`,
      inside: {
        question: "GET /?inside-%ld HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
        answer: "\\r\\n\\r\\ninside-%ld\\n",
      },
    };
  },
  async load(port, load) {
    for (let i = 0; i < 10; i++) {
      const connection = await Connection.open(port);
      load.add(`client ${i}`, async (round) => {
        expect(await fetchText(connection, `/?${i}-${round}`)).toBe(`${i}-${round}\n`);
      });
    }
    return async () => {};
  },
};
