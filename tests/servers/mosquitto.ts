/** mosquitto: what is published, with acknowledgements, comes to who has subscribed, in its order and once. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import type { ServerTest } from "./server.ts";

/** Packets of MQTT 3.1.1; none is longer than 127 bytes. */
const text = (value: string) => Buffer.concat([Buffer.of(0, value.length), Buffer.from(value)]);
const packet = (kind: number, ...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(kind, body.length), body]);
};

class Client {
  #number = 0;

  private constructor(private readonly connection: Connection) {}

  static async open(port: number, name: string): Promise<Client> {
    const connection = await Connection.open(port);
    connection.send(packet(0x10, text("MQTT"), Buffer.of(4, 2, 0, 0), text(name)));
    expect([...(await connection.bytes(4))]).toEqual([0x20, 2, 0, 0]);
    return new Client(connection);
  }

  #next(): Buffer {
    this.#number = (this.#number % 60_000) + 1;
    return Buffer.of(this.#number >> 8, this.#number & 0xff);
  }

  async subscribe(topic: string): Promise<void> {
    const number = this.#next();
    this.connection.send(packet(0x82, number, text(topic), Buffer.of(1)));
    expect([...(await this.connection.bytes(5))]).toEqual([0x90, 3, ...number, 1]);
  }

  async publish(topic: string, message: string): Promise<void> {
    const number = this.#next();
    this.connection.send(packet(0x32, text(topic), number, Buffer.from(message)));
    expect([...(await this.connection.bytes(4))]).toEqual([0x40, 2, ...number]);
  }

  /** The next message, which is acknowledged. */
  async message(topic: string): Promise<string> {
    const [kind, length = 0] = await this.connection.bytes(2);
    if (kind === undefined || kind >> 4 !== 3) throw new Error(`a packet of kind ${kind}`);
    const body = await this.connection.bytes(length);
    const start = 2 + topic.length;
    this.connection.send(packet(0x40, body.subarray(start, start + 2)));
    return body.toString("latin1", start + 2);
  }
}

export const mosquitto: ServerTest = {
  name: "mosquitto",
  needs: ["mosquitto"],
  plan(dir, port) {
    const lines = [`listener ${port} 127.0.0.1`, "allow_anonymous true", "user root", "persistence false"];
    writeFileSync(join(dir, "mosquitto.conf"), `${lines.join("\n")}\n`);
    return { command: `mosquitto -c ${dir}/mosquitto.conf` };
  },
  async load(port, load) {
    for (let i = 0; i < 4; i++) {
      const topic = `topic/${i}`;
      const subscriber = await Client.open(port, `subscriber-${i}`);
      await subscriber.subscribe(topic);
      const publisher = await Client.open(port, `publisher-${i}`);
      load.add(`topic ${i}`, async (round) => {
        await publisher.publish(topic, `message ${round}`);
        expect(await subscriber.message(topic)).toBe(`message ${round}`);
      });
    }
    return async () => {};
  },
};
