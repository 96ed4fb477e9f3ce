/** PostgreSQL: transactions that stay open, prepared statements, notifications, a long query, parallel workers. */
import { expect } from "bun:test";
import { appendFileSync, chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import type { ServerTest } from "./server.ts";

/** Where Debian has the programs of one of its versions. */
const BIN =
  ["/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin"].find(
    existsSync,
  ) ?? "";

interface Message {
  readonly kind: string;
  readonly body: Buffer;
}

const word = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const short = (value: number) => Buffer.of(value >> 8, value & 0xff);
const text = (value: string) => Buffer.from(`${value}\0`);

/** A client that speaks the protocol (version 3.0) and trusts its server. */
class Client {
  private constructor(private readonly connection: Connection) {}

  static async open(port: number): Promise<Client> {
    for (let i = 0; ; i++) {
      const client = new Client(await Connection.open(port));
      const body = Buffer.concat([word(196608), text("user"), text("postgres"), Buffer.of(0)]);
      client.connection.send(Buffer.concat([word(body.length + 4), body]));
      try {
        await client.#until("Z");
        return client;
      } catch (error) {
        // It is starting up.
        if (i === 100) throw error;
        client.close();
        await Bun.sleep(50);
      }
    }
  }

  close(): void {
    this.connection.close();
  }

  #send(kind: string, ...parts: Buffer[]): void {
    const body = Buffer.concat(parts);
    this.connection.send(Buffer.concat([Buffer.from(kind), word(body.length + 4), body]));
  }

  async #message(): Promise<Message> {
    const head = await this.connection.bytes(5);
    const kind = String.fromCharCode(head[0] ?? 0);
    const body = await this.connection.bytes(head.readInt32BE(1) - 4);
    if (kind === "E") throw new Error(`PostgreSQL says ${body.toString("latin1").replaceAll("\0", " ")}`);
    return { kind, body };
  }

  /** All messages up to one of a kind. */
  async #until(kind: string): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const message = await this.#message();
      messages.push(message);
      if (message.kind === kind) return messages;
    }
  }

  /** The first column of all rows. */
  static #rows(messages: readonly Message[]): string[] {
    return messages
      .filter(({ kind }) => kind === "D")
      .map(({ body }) => body.toString("utf8", 6, 6 + body.readInt32BE(2)));
  }

  async query(sql: string): Promise<string[]> {
    this.#send("Q", text(sql));
    return Client.#rows(await this.#until("Z"));
  }

  async prepare(name: string, sql: string): Promise<void> {
    this.#send("P", text(name), text(sql), short(0));
    this.#send("S");
    await this.#until("Z");
  }

  /** Runs a prepared statement with one argument. */
  async execute(name: string, argument: string): Promise<string[]> {
    const value = Buffer.from(argument);
    this.#send("B", text(""), text(name), short(0), short(1), word(value.length), value, short(0));
    this.#send("E", text(""), word(0));
    this.#send("S");
    return Client.#rows(await this.#until("Z"));
  }

  /** The next notification: what it says. */
  async notification(): Promise<string> {
    const messages = await this.#until("A");
    const body = messages.at(-1)?.body ?? Buffer.alloc(0);
    const channel = body.indexOf(0, 4);
    return body.toString("utf8", channel + 1, body.length - 1);
  }
}

export const postgres: ServerTest = {
  name: "postgres",
  needs: [`${BIN}/postgres`, "setpriv"],
  plan(dir, port, address) {
    const as = "setpriv --reuid=postgres --regid=postgres --clear-groups";
    chmodSync(dir, 0o777);
    const made = Bun.spawnSync(
      ["sh", "-c", `${as} ${BIN}/initdb -D ${dir}/data -A trust -U postgres --no-sync`],
      { cwd: dir },
    );
    if (made.exitCode !== 0) throw new Error(made.stderr.toString());
    appendFileSync(join(dir, "data/pg_hba.conf"), "host all all all trust\n");
    const options = [
      `port=${port}`,
      `listen_addresses=${address}`,
      "unix_socket_directories=",
      "fsync=off",
      "max_parallel_workers_per_gather=2",
      "min_parallel_table_scan_size=0",
      "parallel_setup_cost=0",
      "parallel_tuple_cost=0",
    ];
    const command = `${as} ${BIN}/postgres -D ${join(dir, "data")} ${options.map((each) => `-c ${each}`).join(" ")}`;
    return { command };
  },
  async load(port, load) {
    const maker = await Client.open(port);
    await maker.query("CREATE TABLE numbers AS SELECT generate_series(1, 300000) AS n");
    await maker.query("CREATE TABLE counts (name text PRIMARY KEY, count bigint)");
    await maker.query("ANALYZE");
    for (let i = 0; i < 3; i++) {
      await maker.query(`INSERT INTO counts VALUES ('c${i}', 0)`);
      const client = await Client.open(port);
      // A transaction is open most of the time.
      load.add(`transactions ${i}`, async (round) => {
        await client.query("BEGIN");
        await client.query(`UPDATE counts SET count = count + 1 WHERE name = 'c${i}'`);
        await Bun.sleep(10);
        expect(await client.query(`SELECT count FROM counts WHERE name = 'c${i}'`)).toEqual([
          String(round + 1),
        ]);
        await client.query("COMMIT");
      });
    }
    const prepared = await Client.open(port);
    await prepared.prepare("twice", "SELECT ($1::int * 2)::text");
    load.add("prepared statement", async (round) => {
      expect(await prepared.execute("twice", String(round))).toEqual([String(2 * round)]);
    });
    const listener = await Client.open(port);
    const notifier = await Client.open(port);
    await listener.query("LISTEN news");
    load.add("notifications", async (round) => {
      await notifier.query(`NOTIFY news, 'message ${round}'`);
      expect(await listener.notification()).toBe(`message ${round}`);
    });
    const parallel = await Client.open(port);
    load.add("parallel workers", async () => {
      expect(await parallel.query("SELECT sum(n) FROM numbers WHERE n % 3 = 0")).toEqual(["15000150000"]);
    });
    const long = await Client.open(port);
    let asked = Promise.resolve([""]);
    load.add(
      "a long query",
      async (round) => {
        if (round % 10 === 0) {
          await asked;
          asked = long.query(`SELECT 'slept ' || ${round} FROM pg_sleep(1)`);
        }
        await Bun.sleep(100);
        if (round % 10 === 9) expect(await asked).toEqual([`slept ${round - 9}`]);
      },
      async () => void (await asked),
    );
    return async () => {
      const client = await Client.open(port);
      const sum = await client.query("SELECT sum(count) FROM counts");
      expect(Number(sum[0])).toBeGreaterThan(0);
      client.close();
    };
  },
};
