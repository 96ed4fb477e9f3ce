// Text of the kernel (paths, names) is bytes without NUL, most often UTF-8 but not always. Here it is a string, and
// no byte is lost: a byte that is not part of good UTF-8 becomes the lone surrogate U+DC00 + byte, as in Python's
// "surrogateescape", and goes back to that byte.

/** Made when it is first needed: most runs meet plain text alone. */
let strictDecoder: TextDecoder | undefined;
const encoder = new TextEncoder();

/** The string of kernel bytes; `textToBytes` gives back the very same bytes. */
export function bytesToText(bytes: Uint8Array): string {
  return textOf(bytes, 0, bytes.length);
}

/** The string of the kernel bytes from `start` to `end`. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  // One native call rather than a loop that begins slowly; what it replaced, it may have found so, too.
  const text = utf8Slice.call(bytes, start, end);
  return text.includes("\ufffd") ? wideToText(bytes.subarray(start, end)) : text;
}

const { utf8Slice, utf8Write } = Buffer.prototype;

function wideToText(bytes: Uint8Array): string {
  strictDecoder ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return brokenToText(bytes, strictDecoder);
  }
}

/** Length of the good UTF-8 sequence at `at`, or 0. */
function sequence(bytes: Uint8Array, at: number): number {
  const byte = (offset: number): number => bytes[at + offset] ?? 0;
  const follows = (offset: number): boolean => (byte(offset) & 0xc0) === 0x80;
  const first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    if ((first === 0xe0 && byte(1) < 0xa0) || (first === 0xed && byte(1) > 0x9f)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first < 0xf5) {
    if ((first === 0xf0 && byte(1) < 0x90) || (first === 0xf4 && byte(1) > 0x8f)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

function brokenToText(bytes: Uint8Array, strict: TextDecoder): string {
  const parts: string[] = [];
  let good = 0;
  let at = 0;
  while (at < bytes.length) {
    const length = sequence(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    parts.push(strict.decode(bytes.subarray(good, at)), String.fromCharCode(0xdc00 + (bytes[at] ?? 0)));
    good = ++at;
  }
  parts.push(strict.decode(bytes.subarray(good)));
  return parts.join("");
}

/** The kernel bytes of a string made by `bytesToText`; of any other string, its UTF-8. */
export function textToBytes(text: string): Uint8Array {
  // A surrogate that has no partner is what escaped; a well-formed string has none.
  if (text.isWellFormed()) return encoder.encode(text);
  const out = new Uint8Array(text.length * 3);
  let length = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) out[length++] = code - 0xdc00;
    else length += encoder.encodeInto(char, out.subarray(length)).written;
  }
  return out.slice(0, length);
}

/**
 * Writes the kernel bytes of `text` into `bytes` at `at` and gives where they end. There has to be room for three bytes
 * a character.
 */
export function writeText(bytes: Uint8Array, at: number, text: string): number {
  if (text.isWellFormed()) return at + utf8Write.call(bytes, text, at);
  const encoded = textToBytes(text);
  bytes.set(encoded, at);
  return at + encoded.length;
}
