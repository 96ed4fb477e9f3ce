/** A connection of a test to a server: bytes are sent and awaited; a reset, or an end that nobody asked for, fails it. */
import { connect, type Socket } from "node:net";

const PATIENCE = 60_000;
/** Bytes that may wait here; more stay with the sender. */
const FULL = 1 << 20;

export class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const wake = () => this.#wake?.();
    socket.on("data", (data: Buffer) => {
      this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
      if (this.#received.length > FULL) socket.pause();
      wake();
    });
    socket.on("error", (error) => {
      this.#failure = error;
      wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      wake();
    });
  }

  /** Connects to a port of the loopback; tries again until somebody listens there. */
  static async open(port: number, patience = PATIENCE): Promise<Connection> {
    const end = Date.now() + patience;
    for (;;) {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      const failure = await new Promise<Error | undefined>((resolve) => {
        socket.once("connect", () => resolve(undefined));
        socket.once("error", resolve);
      });
      if (failure === undefined) return new Connection(socket);
      if (Date.now() > end) throw failure;
      await Bun.sleep(20);
    }
  }

  send(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  /** What `take` makes of the bytes that have come, and how many of them it used, as soon as it makes anything of them. */
  async receive<T>(
    take: (bytes: Buffer) => { readonly value: T; readonly used: number } | undefined,
  ): Promise<T> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const taken = take(this.#received);
      if (taken !== undefined) {
        this.#received = this.#received.subarray(taken.used);
        if (this.#received.length <= FULL) this.#socket.resume();
        return taken.value;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended)
        throw new Error(`the server has closed the connection after ${this.#received.length} bytes`);
      if (Date.now() > end) throw new Error(`no answer within ${PATIENCE} ms`);
      this.#socket.resume();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(end - Date.now(), 1));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }

  /** Exactly `length` bytes. */
  bytes(length: number): Promise<Buffer> {
    return this.receive((all) =>
      all.length < length ? undefined : { value: all.subarray(0, length), used: length },
    );
  }

  /** A line, without its end. */
  line(): Promise<string> {
    return this.receive((all) => {
      const at = all.indexOf("\r\n");
      return at < 0 ? undefined : { value: all.toString("latin1", 0, at), used: at + 2 };
    });
  }

  /** Whatever has come, at least one byte. */
  some(): Promise<Buffer> {
    return this.receive((all) => (all.length === 0 ? undefined : { value: all, used: all.length }));
  }

  close(): void {
    this.#socket.destroy();
  }
}
