/**
 * Quoted-printable (RFC 2045, 6.7) as Python's quopri writes it, which is how crit prints the name of a Unix socket. One thing
 * is ours: a name with a carriage return in it keeps its line ends, which Python's makes all the same.
 */
import { textOf, textToBytes } from "../linux/text.ts";

/** No line is longer, the mark of a soft line break included. */
const MAX_LINE = 76;
const LF = 10;
const CR = 13;
const TAB = 9;
const SPACE = 32;
const DOT = 46;
const EQUALS = 61;

const HEX = "0123456789ABCDEF";

function escaped(byte: number): string {
  return `=${HEX.charAt(byte >> 4)}${HEX.charAt(byte & 15)}`;
}

/** Text of printable ASCII characters and line ends alone. */
export function toQuotedPrintable(bytes: Uint8Array): string {
  const isText = !bytes.includes(CR);
  let out = "";
  let line = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    const next = bytes[at + 1];
    if (byte === LF && isText) {
      const last = out.at(-1);
      // White space at the end of a line would not survive a mail.
      if (last === " " || last === "\t") out = out.slice(0, -1) + escaped(last.charCodeAt(0));
      out += "\n";
      line = 0;
    } else if (mustBeEscaped(byte, next, line)) {
      if (line + 3 >= MAX_LINE) {
        out += "=\n";
        line = 0;
      }
      out += escaped(byte);
      line += 3;
    } else {
      if (next !== undefined && next !== LF && line + 1 >= MAX_LINE) {
        out += "=\n";
        line = 0;
      }
      out += String.fromCharCode(byte);
      line++;
    }
  }
  return out;
}

function mustBeEscaped(byte: number, next: number | undefined, line: number): boolean {
  if (byte === SPACE || byte === TAB) return next === undefined;
  if (byte === DOT) return line === 0 && (next === undefined || next === LF || next === CR || next === 0);
  return byte > 126 || byte < 33 || byte === EQUALS;
}

/** The bytes; what is no escape stands for itself. */
export function fromQuotedPrintable(text: string): Uint8Array {
  const from = textToBytes(text);
  const out = new Uint8Array(from.length);
  let length = 0;
  for (let at = 0; at < from.length; at++) {
    const byte = from[at] ?? 0;
    if (byte !== EQUALS) {
      out[length++] = byte;
      continue;
    }
    const next = from[at + 1];
    if (next === LF || next === CR) {
      // A soft line break: nothing, up to the next line.
      const end = from.indexOf(LF, at);
      at = end < 0 ? from.length : end;
      continue;
    }
    const digits = textOf(from, at + 1, Math.min(at + 3, from.length));
    if (/^[0-9A-Fa-f]{2}$/.test(digits)) {
      out[length++] = Number.parseInt(digits, 16);
      at += 2;
    } else if (next !== undefined) out[length++] = byte;
  }
  return out.slice(0, length);
}
