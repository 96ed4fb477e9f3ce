/** Python's asyncio: sessions that count, with a timer in each. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import type { ServerTest } from "./server.ts";

export const python: ServerTest = {
  name: "python",
  needs: ["python3"],
  plan: (_, port) => ({
    command: `python3 ${join(import.meta.dir, "python-server.py")} ${port}`,
    inside: { question: "inside %ld\\n", answer: " inside %ld\\n" },
  }),
  async load(port, load) {
    const totals = new Set<number>();
    for (let i = 0; i < 10; i++) {
      const connection = await Connection.open(port);
      load.add(`session ${i}`, async (round) => {
        connection.send(`question ${round}\r\n`);
        const [number, total, ...rest] = (await connection.line()).split(" ");
        expect([number, ...rest]).toEqual([String(round + 1), "question", String(round)]);
        expect(totals.has(Number(total))).toBe(false);
        totals.add(Number(total));
      });
    }
    return async () => {};
  },
};
