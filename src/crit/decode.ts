/** crit decode, show, info: from an image to JSON. */
import type { ImageReader, Payload } from "../images/image-file.ts";
import type { AnyImageKind } from "../images/kinds.ts";
import { type Extra, extraOf, printBase64 } from "./extras.ts";
import { isWholeGhost, openImage } from "./image.ts";
import { COMPACT, PRETTY, type Style } from "./json-text.ts";
import { isMessage, type Message, messageText } from "./message-text.ts";
import { Output } from "./output.ts";

export interface DecodeRequest {
  /** Standard input and output where there is no path. */
  readonly in: string | undefined;
  readonly out: string | undefined;
  readonly pretty: boolean;
  /** Says of payloads how long they are only. */
  readonly noPayload: boolean;
}

/** Of the entries. */
const DEPTH = 2;
/** Stands for an extra in the text of an entry, which is ASCII without control characters. */
const HERE = "\0";

/** @throws CritError, ImageError, KernelError. Gives how many fields were not known, and are not shown. */
export function decode(request: DecodeRequest): number {
  const { kind, reader } = openImage(request.in);
  using _ = reader;
  using out = Output.to(request.out);
  const style = request.pretty ? PRETTY : COMPACT;
  out.text(`{${style.before(0)}"magic": "${kind.name}"${style.between(0)}"entries": [`);
  const any = new Printer(kind, out, style, request.noPayload).all(reader);
  out.text(`${any ? style.behind(1) : ""}]${style.behind(0)}}`);
  if (request.out === undefined) out.text("\n");
  out.finish();
  return reader.unknownFields;
}

class Printer {
  private any = false;
  private readonly extra: Extra | undefined;

  constructor(
    private readonly kind: AnyImageKind,
    private readonly out: Output,
    private readonly style: Style,
    private readonly noPayload: boolean,
  ) {
    this.extra = extraOf(kind);
  }

  /** Whether there was any entry. */
  all(reader: ImageReader<unknown, unknown>): boolean {
    const { codec, head } = this.kind;
    if (head !== undefined) {
      if (isWholeGhost(this.kind, reader.head)) {
        this.whole(head.name, reader.head, reader.rest());
        return true;
      }
      this.entry(messageText(head.name, reader.head, this.style, DEPTH));
    }
    if (this.extra === undefined) {
      for (let entry = reader.nextEntry(); entry !== undefined; entry = reader.nextEntry()) {
        this.entry(messageText(codec.name, entry, this.style, DEPTH));
      }
    } else {
      for (const { entry, payload } of reader) this.withExtra(this.extra, entry, payload);
    }
    return this.any;
  }

  private entry(text: string): void {
    this.out.text(this.any ? this.style.between(1) : this.style.before(1));
    this.out.text(text);
    this.any = true;
  }

  private withExtra(extra: Extra, entry: unknown, payload: Payload): void {
    const { codec, name } = this.kind;
    const message: Message = isMessage(entry) ? entry : {};
    if (this.noPayload) {
      // crit says nothing of the chunks of a ghost file, whose lengths are their own fields.
      const said =
        name === "GHOST_FILE" ? [] : [`"extra": "... <${sizeText(extra.size(message, payload))}>"`];
      this.entry(messageText(codec.name, message, this.style, DEPTH, said));
      return;
    }
    const [before = "", behind = ""] = this.around(codec.name, message);
    this.entry(before);
    extra.print(message, payload, this.out, this.style, DEPTH);
    this.out.text(behind);
  }

  private whole(name: string, head: unknown, content: Payload): void {
    if (this.noPayload) {
      this.entry(messageText(name, head, this.style, DEPTH));
      return;
    }
    const [before = "", behind = ""] = this.around(name, head);
    this.entry(before);
    printBase64(content, 0, content.length, this.out);
    this.out.text(behind);
  }

  private around(name: string, message: unknown): string[] {
    return messageText(name, message, this.style, DEPTH, [`"extra": ${HERE}`]).split(HERE);
  }
}

/** Bytes as crit prints them: 512B, 1.5KB. */
function sizeText(bytes: number): string {
  let size = bytes;
  for (const unit of ["", "K", "M", "G", "T", "P", "E", "Z"]) {
    if (size < 1024) return Number.isInteger(size) ? `${size}${unit}B` : `${size.toFixed(1)}${unit}B`;
    size /= 1024;
  }
  return `${size.toFixed(1)}YB`;
}

/** crit info: the kind and how many entries there are, heads not counted. @throws CritError, ImageError, KernelError */
export function info(path: string): void {
  const { kind, reader } = openImage(path);
  using _ = reader;
  let count = 0;
  if (isWholeGhost(kind, reader.head)) reader.rest();
  else while (reader.nextEntry() !== undefined) count++;
  using out = Output.to(undefined);
  out.text(`${PRETTY.object([`"magic": "${kind.name}"`, `"count": ${count}`], 0)}\n`);
  out.finish();
}
