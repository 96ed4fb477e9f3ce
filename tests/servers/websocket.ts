/** A WebSocket of a client (RFC 6455), for short texts. */
import { Connection } from "./connection.ts";
import { head } from "./http.ts";

export class WebSocketClient {
  private constructor(private readonly connection: Connection) {}

  static async open(port: number, path: string): Promise<WebSocketClient> {
    const connection = await Connection.open(port);
    connection.send(
      `GET ${path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    const { status } = await head(connection);
    if (status !== 101) throw new Error(`status ${status} instead of a WebSocket`);
    return new WebSocketClient(connection);
  }

  /** At most 125 bytes, masked with zeros. */
  send(text: string): void {
    this.connection.send(Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), Buffer.from(text)]));
  }

  /** The next message, which is as short. */
  async receive(): Promise<string> {
    const [kind, length = 0] = await this.connection.bytes(2);
    if (kind !== 0x81) throw new Error(`a frame of kind ${kind}`);
    return (await this.connection.bytes(length)).toString("latin1");
  }
}
