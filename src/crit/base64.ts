/** Base64 out of JSON, as it comes. */
import type { JsonReader } from "./json-reader.ts";
import { Spool } from "./spool.ts";

const ALPHABET = /^[A-Za-z0-9+/]*(={0,2})$/;

/** Decodes text that is given in pieces; line ends and blanks are passed over. */
class Decoder {
  /** Less than four characters that were not decoded yet. */
  private left = "";
  private ended = false;

  /** undefined where the text is no base64. */
  push(text: string): Uint8Array | undefined {
    const all = this.left + text.replace(/[\s]+/g, "");
    const whole = all.length - (all.length % 4);
    this.left = all.slice(whole);
    if (whole === 0) return new Uint8Array();
    if (this.ended) return undefined;
    const ready = all.slice(0, whole);
    const padding = ALPHABET.exec(ready)?.[1];
    if (padding === undefined) return undefined;
    this.ended = padding !== "";
    return Buffer.from(ready, "base64");
  }

  /** Whether the text is whole. */
  get isWhole(): boolean {
    return this.left === "";
  }
}

/** A JSON string in base64. The caller disposes of the bytes. @throws CritError where it is none */
export function readBase64(json: JsonReader): Spool {
  const spool = new Spool();
  const decoder = new Decoder();
  const add = (text: string) => {
    const bytes = decoder.push(text);
    if (bytes === undefined) json.fail("this is no base64");
    spool.add(bytes);
  };
  try {
    json.pieces(
      (bytes) => add(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")),
      add,
    );
    if (!decoder.isWhole) json.fail("the base64 is cut short");
    return spool;
  } catch (error) {
    spool[Symbol.dispose]();
    throw error;
  }
}

/** The bytes of base64 in a string; undefined where it is none. */
export function fromBase64(text: string): Uint8Array | undefined {
  const decoder = new Decoder();
  const bytes = decoder.push(text);
  return decoder.isWhole ? bytes : undefined;
}
