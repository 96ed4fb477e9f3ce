/** gunicorn: several workers with threads, and connections that are kept open. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { fetchText } from "./http.ts";
import type { ServerTest } from "./server.ts";

const APPLICATION = `
def app(environ, start_response):
    text = (environ["QUERY_STRING"] + "\\n").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
`;

export const gunicorn: ServerTest = {
  name: "gunicorn",
  needs: ["gunicorn"],
  plan(dir, port) {
    writeFileSync(join(dir, "application.py"), APPLICATION);
    const options = `-w 3 -k gthread --threads 8 --keep-alive 600 --timeout 600 --worker-tmp-dir ${dir}`;
    return {
      command: `gunicorn ${options} -b 127.0.0.1:${port} --chdir ${dir} application:app`,
      inside: {
        question: "GET /?inside-%ld HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
        answer: "\\r\\n\\r\\ninside-%ld\\n",
      },
    };
  },
  async load(port, load) {
    for (let i = 0; i < 6; i++) {
      const connection = await Connection.open(port);
      load.add(`client ${i}`, async (round) => {
        expect(await fetchText(connection, `/?${i}-${round}`)).toBe(`${i}-${round}\n`);
      });
    }
    return async () => {};
  },
};
