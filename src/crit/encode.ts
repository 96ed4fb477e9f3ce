/** crit encode: from JSON to an image. */

import { ImageError } from "../images/error.ts";
import { type AnyImageKind, IMAGES } from "../images/kinds.ts";
import type { Codec } from "../images/wire.ts";
import { Writer } from "../images/wire.ts";
import { readBase64 } from "./base64.ts";
import { CritError } from "./error.ts";
import { extraOf, type WriteExtra } from "./extras.ts";
import { isWholeGhost, kindOfName } from "./image.ts";
import { openInput, STANDARD_INPUT } from "./input.ts";
import { type JsonObject, JsonReader } from "./json-reader.ts";
import { messageOf } from "./message-of.ts";
import type { Message } from "./message-text.ts";
import { Output } from "./output.ts";

export interface EncodeRequest {
  /** Standard input and output where there is no path. */
  readonly in: string | undefined;
  readonly out: string | undefined;
}

/** @throws CritError, KernelError */
export function encode(request: EncodeRequest): void {
  using fd = openInput(request.in);
  const json = new JsonReader(fd.number, request.in ?? STANDARD_INPUT);
  using out = Output.to(request.out);
  new Encoder(json, out).all();
  out.finish();
}

class Encoder {
  private readonly writer = new Writer();
  private kind: AnyImageKind | undefined;
  private count = 0;
  /** Where the entries are, when they came before the magic. */
  private entriesAt: number | undefined;
  private hasEntries = false;

  constructor(
    private readonly json: JsonReader,
    private readonly out: Output,
  ) {}

  all(): void {
    const { json } = this;
    if (!json.isObject) json.fail("this is no JSON of an image (which encode takes; decode takes an image)");
    json.object((key) => {
      if (key === "magic") this.magic(json.value());
      else if (key === "entries") this.entries();
      else json.fail(`"${key}" is not part of an image; magic and entries are`);
    });
    json.end();
    if (this.kind === undefined) json.fail("the magic is missing");
    if (!this.hasEntries) json.fail("the entries are missing");
    if (this.entriesAt !== undefined) {
      json.offset = this.entriesAt;
      this.entries();
    }
  }

  private magic(value: unknown): void {
    const kind = typeof value === "string" ? kindOfName(value) : undefined;
    if (kind === undefined)
      this.json.fail(`${JSON.stringify(String(value))} is not the magic of an image of messages`);
    this.kind = kind;
    const { writer, out } = this;
    if (kind.first !== undefined) writer.word(kind.first);
    writer.word(kind.magic);
    out.bytes(writer.finish());
  }

  private entries(): void {
    this.hasEntries = true;
    const { kind, json } = this;
    if (kind === undefined) {
      this.entriesAt = json.offset;
      json.skip();
      return;
    }
    let head = kind.head;
    let whole = false;
    json.list(() => {
      if (whole) json.fail("a ghost file without chunks has one entry");
      if (head === undefined) this.entry(kind, kind.codec, extraOf(kind));
      else {
        // Whether a ghost file has chunks is said in its head, beside its content.
        const message = this.entry(kind, head, undefined);
        whole = isWholeGhost(kind, message);
        head = undefined;
      }
    });
    if (head !== undefined) json.fail(`an image of ${kind.name} begins with its ${head.name}`);
  }

  /** One entry, and what follows it. */
  private entry(kind: AnyImageKind, codec: Codec<unknown>, extra: ReturnType<typeof extraOf>): Message {
    using stack = new DisposableStack();
    const object: JsonObject = new Map();
    let write: WriteExtra | undefined = extra?.none;
    const isGhostHead = codec === IMAGES.ghost_file.head;
    const { json } = this;
    const start = json.offset;
    json.object((key) => {
      if (key !== "extra") object.set(key, json.value());
      else if (extra !== undefined) write = extra.read(json, stack);
      else if (isGhostHead) {
        const content = stack.use(readBase64(json));
        write = (head, out) => {
          if (!isWholeGhost(kind, head)) throw new CritError("content beside its chunks");
          content.writeTo(out);
        };
      } else json.fail(`nothing follows an entry of ${kind.name}: "extra" has no meaning`);
    });
    try {
      const message = messageOf(codec.name, object);
      this.writer.clear();
      this.writer.framed(codec, message);
      this.out.bytes(this.writer.finish());
      write?.(message, this.out);
      this.count++;
      return message;
    } catch (error) {
      if (!(error instanceof CritError || error instanceof ImageError)) throw error;
      throw new CritError(`${json.name}: entry ${this.count} at byte ${start}: ${error.message}`);
    }
  }
}
