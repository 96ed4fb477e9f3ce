/** MariaDB: transactions that stay open, locks that others wait for, a long query. */
import { expect } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import type { ServerTest } from "./server.ts";

/** Bits of what a client can do: protocol of 4.1, transactions, the longer way to log in. */
const CAPABILITIES = 0x200 | 0x2000 | 0x8000;
const UTF8 = 33;
const COM_QUERY = 3;

class Client {
  private constructor(private readonly connection: Connection) {}

  static async open(port: number): Promise<Client> {
    const client = new Client(await Connection.open(port, 60_000));
    await client.#packet();
    const head = Buffer.alloc(32);
    head.writeUInt32LE(CAPABILITIES, 0);
    head.writeUInt32LE(1 << 24, 4);
    head[8] = UTF8;
    client.#send(1, Buffer.concat([head, Buffer.from("root\0"), Buffer.of(0)]));
    await client.#packet();
    return client;
  }

  close(): void {
    this.connection.close();
  }

  #send(sequence: number, body: Buffer): void {
    const head = Buffer.alloc(4);
    head.writeUIntLE(body.length, 0, 3);
    head[3] = sequence;
    this.connection.send(Buffer.concat([head, body]));
  }

  async #packet(): Promise<Buffer> {
    const head = await this.connection.bytes(4);
    const body = Buffer.from(await this.connection.bytes(head.readUIntLE(0, 3)));
    if (body[0] === 0xff) throw new Error(`MariaDB says ${body.toString("latin1", 3)}`);
    return body;
  }

  /** The first column of all rows, which is no longer than 250 bytes. */
  async query(sql: string): Promise<string[]> {
    this.#send(0, Buffer.concat([Buffer.of(COM_QUERY), Buffer.from(sql)]));
    const first = await this.#packet();
    const columns = first[0] ?? 0;
    if (columns === 0) return [];
    // The columns, then a packet that ends them; the same with rows.
    for (let i = 0; i <= columns; i++) await this.#packet();
    const rows: string[] = [];
    for (;;) {
      const row = await this.#packet();
      if (row[0] === 0xfe && row.length < 9) return rows;
      rows.push(row.toString("utf8", 1, 1 + (row[0] ?? 0)));
    }
  }
}

export const mariadb: ServerTest = {
  name: "mariadb",
  needs: ["mariadbd"],
  plan(dir, port) {
    const data = `--no-defaults --datadir=${dir}/data --user=root`;
    // Nobody is asked who they are: it needs no tables of its own for that.
    mkdirSync(join(dir, "data/mysql"), { recursive: true });
    const options = `--port=${port} --bind-address=127.0.0.1 --socket=${dir}/socket --skip-grant-tables --skip-networking=0`;
    // It locks its files.
    const locks = ["--file-locks"];
    return {
      options: locks,
      command: `mariadbd ${data} ${options} --innodb-buffer-pool-size=32M --innodb-use-native-aio=0`,
    };
  },
  async load(port, load) {
    const maker = await Client.open(port);
    await maker.query("CREATE DATABASE test");
    await maker.query("CREATE TABLE test.counts (name varchar(20) PRIMARY KEY, count bigint) ENGINE=InnoDB");
    await maker.query("INSERT INTO test.counts VALUES ('shared', 0)");
    for (let i = 0; i < 3; i++) {
      await maker.query(`INSERT INTO test.counts VALUES ('c${i}', 0)`);
      const client = await Client.open(port);
      load.add(`transactions ${i}`, async (round) => {
        await client.query("BEGIN");
        await client.query(`UPDATE test.counts SET count = count + 1 WHERE name = 'c${i}'`);
        // Who comes second waits for the first one's lock.
        await client.query("UPDATE test.counts SET count = count + 1 WHERE name = 'shared'");
        await Bun.sleep(5);
        expect(await client.query(`SELECT count FROM test.counts WHERE name = 'c${i}'`)).toEqual([
          String(round + 1),
        ]);
        await client.query("COMMIT");
      });
    }
    const sleeper = await Client.open(port);
    load.add("a long query", async (round) => {
      expect(await sleeper.query(`SELECT CONCAT('slept ', ${round}, SLEEP(0.3))`)).toEqual([
        `slept ${round}0`,
      ]);
    });
    return async () => {
      const client = await Client.open(port);
      const [shared] = await client.query("SELECT count FROM test.counts WHERE name = 'shared'");
      const [sum] = await client.query("SELECT SUM(count) FROM test.counts WHERE name != 'shared'");
      expect(shared).toBe(sum ?? "");
      client.close();
    };
  },
};
