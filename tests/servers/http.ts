/** Requests over a connection that is kept open. */
import type { Connection } from "./connection.ts";

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** Sends a request. */
export function request(connection: Connection, path: string, method = "GET", body = ""): void {
  const length = method === "GET" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  connection.send(`${method} ${path} HTTP/1.1\r\nHost: test\r\n${length}\r\n${body}`);
}

/** The status and the headers of an answer. */
export async function head(connection: Connection): Promise<Answer> {
  const [, status = ""] = (await connection.line()).split(" ");
  const headers = new Map<string, string>();
  for (let line = await connection.line(); line !== ""; line = await connection.line()) {
    const [name = "", ...rest] = line.split(": ");
    headers.set(name.toLowerCase(), rest.join(": "));
  }
  return { status: Number(status), headers };
}

/** The body of an answer whose head has been taken. */
export async function body(connection: Connection, { headers }: Answer): Promise<string> {
  if (headers.get("transfer-encoding") === "chunked") {
    let whole = "";
    for (;;) {
      const size = Number.parseInt(await connection.line(), 16);
      whole += (await connection.bytes(size + 2)).toString("latin1", 0, size);
      if (size === 0) return whole;
    }
  }
  return (await connection.bytes(Number(headers.get("content-length") ?? 0))).toString("latin1");
}

/** A whole exchange: what the answer says. @throws Error where its status is not 200 */
export async function fetchText(
  connection: Connection,
  path: string,
  method = "GET",
  sent = "",
): Promise<string> {
  request(connection, path, method, sent);
  const answer = await head(connection);
  const text = await body(connection, answer);
  if (answer.status !== 200) throw new Error(`status ${answer.status} of ${path}: ${text.slice(0, 200)}`);
  return text;
}

/** The byte at a place of an endless file. */
export function byteAt(at: number): number {
  return (Math.imul(at, 2654435761) >>> 13) & 0xff;
}

/** Bytes of that file. */
export function stretch(from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(from + i);
  return bytes;
}

/** A download that is read in small steps: each round takes `step` bytes and compares them. */
export class Download {
  #at = 0;
  readonly #expected: Buffer;

  constructor(
    private readonly connection: Connection,
    private readonly period: number,
    private readonly step: number,
  ) {
    this.#expected = stretch(0, period);
  }

  /** `period` bytes are repeated in the file. */
  async round(): Promise<void> {
    const got = await this.connection.bytes(this.step);
    for (let done = 0; done < this.step; ) {
      const start = (this.#at + done) % this.period;
      const length = Math.min(this.step - done, this.period - start);
      if (!got.subarray(done, done + length).equals(this.#expected.subarray(start, start + length)))
        throw new Error(`the download differs in the ${length} bytes from ${this.#at + done}`);
      done += length;
    }
    this.#at += this.step;
  }
}
