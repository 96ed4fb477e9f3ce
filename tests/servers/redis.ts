/** redis: counters over pipelines, publications that none is lost of, a queue whose readers wait, everything in its log. */
import { expect } from "bun:test";
import { Connection } from "./connection.ts";
import type { ServerTest } from "./server.ts";

type Reply = string | number | null | Reply[];

/** One reply of the protocol (RESP2). */
async function reply(connection: Connection): Promise<Reply> {
  const line = await connection.line();
  const rest = line.slice(1);
  switch (line[0]) {
    case "+":
      return rest;
    case ":":
      return Number(rest);
    case "$": {
      if (rest === "-1") return null;
      const bytes = await connection.bytes(Number(rest) + 2);
      return bytes.toString("latin1", 0, Number(rest));
    }
    case "*": {
      const replies: Reply[] = [];
      for (let i = 0; i < Number(rest); i++) replies.push(await reply(connection));
      return replies;
    }
    default:
      throw new Error(`redis says ${line}`);
  }
}

function command(...words: (string | number)[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join("")}`;
}

async function ask(connection: Connection, ...words: (string | number)[]): Promise<Reply> {
  connection.send(command(...words));
  return await reply(connection);
}

const PIPELINE = 50;

export const redis: ServerTest = {
  name: "redis",
  needs: ["redis-server"],
  plan: (dir, port, address) => ({
    command: `redis-server --port ${port} --bind ${address} --protected-mode no --dir ${dir} --appendonly yes --appendfsync everysec --save '' --io-threads 2`,
    inside: { question: "ECHO number-%ld\\r\\n", answer: "number-%ld\\r\\n" },
  }),
  async load(port, load) {
    for (let i = 0; i < 4; i++) {
      const connection = await Connection.open(port);
      load.add(`pipeline ${i}`, async (round) => {
        connection.send(command("INCR", `counter-${i}`).repeat(PIPELINE));
        for (let n = 1; n <= PIPELINE; n++) expect(await reply(connection)).toBe(round * PIPELINE + n);
      });
    }
    const publisher = await Connection.open(port);
    const subscriber = await Connection.open(port);
    expect(await ask(subscriber, "SUBSCRIBE", "news")).toEqual(["subscribe", "news", 1]);
    load.add("publisher", async (round) => {
      expect(await ask(publisher, "PUBLISH", "news", round)).toBe(1);
      expect(await reply(subscriber)).toEqual(["message", "news", String(round)]);
    });
    const waiting = await Connection.open(port);
    const feeding = await Connection.open(port);
    // It waits for its element across a dump, too: the feeder is slow.
    load.add("queue", async (round) => {
      waiting.send(command("BLPOP", "queue", 0));
      await Bun.sleep(50);
      expect(await ask(feeding, "RPUSH", "queue", `element ${round}`)).toBe(1);
      expect(await reply(waiting)).toEqual(["queue", `element ${round}`]);
    });
    const large = await Connection.open(port);
    const value = "x".repeat(3_000_000);
    expect(await ask(large, "SET", "large", value)).toBe("OK");
    load.add("large values", async () => {
      const got = await ask(large, "GET", "large");
      if (got !== value) throw new Error(`a value of ${String(got).length} bytes`);
    });
    return async () => {
      const connection = await Connection.open(port);
      for (let i = 0; i < 4; i++) {
        const counted = Number(await ask(connection, "GET", `counter-${i}`));
        expect(counted % PIPELINE).toBe(0);
      }
      expect(await ask(connection, "LLEN", "queue")).toBe(0);
      connection.close();
    };
  },
};
