/** The lines that a program prints. */
export class Lines {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#pieces = stream[Symbol.asyncIterator]();
  }

  async next(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end).trim();
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#pieces.next();
      if (done === true) throw new Error(`no more lines after "${this.#text}"`);
      this.#text += Buffer.from(value).toString();
    }
  }

  /** All lines up to this one. */
  async until(last: string): Promise<string[]> {
    const all: string[] = [];
    for (;;) {
      const line = await this.next();
      all.push(line);
      if (line === last) return all;
    }
  }
}
