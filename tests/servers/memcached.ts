/** memcached: values that are set and got, and counted up, by several clients of its threads. */
import { expect } from "bun:test";
import { Connection } from "./connection.ts";
import type { ServerTest } from "./server.ts";

export const memcached: ServerTest = {
  name: "memcached",
  needs: ["memcached"],
  plan: (_, port) => ({
    command: `memcached -u root -l 127.0.0.1 -p ${port} -t 4 -I 4m`,
    inside: {
      question: "set inside 0 0 8\\r\\n%08ld\\r\\nget inside\\r\\n",
      answer: "VALUE inside 0 8\\r\\n%08ld\\r\\nEND\\r\\n",
    },
  }),
  async load(port, load) {
    for (let i = 0; i < 6; i++) {
      const connection = await Connection.open(port);
      const key = `key-${i}`;
      const size = 1000 * (i + 1) ** 4;
      connection.send(`set counter-${i} 0 0 1\r\n0\r\n`);
      expect(await connection.line()).toBe("STORED");
      load.add(`client ${i}`, async (round) => {
        const value = String(round % 10).repeat(size);
        connection.send(`set ${key} 0 0 ${size}\r\n${value}\r\n`);
        expect(await connection.line()).toBe("STORED");
        connection.send(`get ${key}\r\nincr counter-${i} 1\r\n`);
        expect(await connection.line()).toBe(`VALUE ${key} 0 ${size}`);
        const got = await connection.bytes(size + 2);
        if (got.toString("latin1", 0, size) !== value) throw new Error(`another value of ${size} bytes`);
        expect(await connection.line()).toBe("END");
        expect(await connection.line()).toBe(String(round + 1));
      });
    }
    return async () => {};
  },
};
