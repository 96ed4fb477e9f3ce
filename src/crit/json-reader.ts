/**
 * JSON read piece by piece: an image of a million entries, or with a payload of gigabytes, is never held in memory as a whole.
 * Whole numbers keep all their digits. Errors say at which byte they are.
 */
import { read } from "../linux/io.ts";
import { bytesToText, textOf } from "../linux/text.ts";
import { CritError } from "./error.ts";

/** A value. A number beyond 2^53 is a bigint. */
export type Json = null | boolean | number | bigint | string | Json[] | JsonObject;
export type JsonObject = Map<string, Json>;

const WINDOW = 1 << 17;
/** CRIU's messages nest six deep, control groups and AppArmor's namespaces deeper. */
const MAX_DEPTH = 500;

/** So many digits are always less than 2^53. */
const SHORT = 15;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const END = -1;

/** What stands behind a backslash, and what it is. */
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Of numbers and of true, false, null: letters, digits, and the signs of numbers. */
function isWordByte(byte: number): boolean {
  const letter = byte | 0x20;
  if (letter >= 0x61 && letter <= 0x7a) return true;
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e;
}

export class JsonReader {
  private readonly window = new Uint8Array(WINDOW);
  private filled = 0;
  private at = 0;
  /** Offset in the file of the window. */
  private start = 0;
  private depth = 0;

  /** `fd`, which is lent, can be read at any place. `name` is that of the file, for messages. */
  constructor(
    private readonly fd: number,
    readonly name: string,
  ) {}

  /** Where in the file the reader stands. */
  get offset(): number {
    return this.start + this.at;
  }

  /** Goes to another place. */
  set offset(to: number) {
    this.start = to;
    this.at = 0;
    this.filled = 0;
  }

  fail(what: string): never {
    throw new CritError(`${this.name}: byte ${this.offset}: ${what}`);
  }

  /** Whether the next value is an object. */
  get isObject(): boolean {
    return this.peek() === OPEN_OBJECT;
  }

  /** The next value, whole. */
  value(): Json {
    const byte = this.peek();
    if (byte === OPEN_OBJECT) {
      const object: JsonObject = new Map();
      this.object((key) => object.set(key, this.value()));
      return object;
    }
    if (byte === OPEN_LIST) {
      const list: Json[] = [];
      this.list(() => list.push(this.value()));
      return list;
    }
    return byte === QUOTE ? this.string() : this.word();
  }

  /** Passes over the next value. */
  skip(): void {
    const byte = this.peek();
    if (byte === OPEN_OBJECT) this.object(() => this.skip());
    else if (byte === OPEN_LIST) this.list(() => this.skip());
    else if (byte === QUOTE)
      this.pieces(
        () => {},
        () => {},
      );
    else this.word();
  }

  /** An object: `member` is called for each key, and has to read the value. */
  object(member: (key: string) => void): void {
    this.expect(OPEN_OBJECT, "an object");
    this.enter();
    if (this.peek() === CLOSE_OBJECT) this.at++;
    else {
      for (;;) {
        const key = this.string();
        this.expect(COLON, "a colon");
        member(key);
        if (this.isLast(CLOSE_OBJECT)) break;
      }
    }
    this.depth--;
  }

  /** A list: `item` is called for each item, and has to read it. */
  list(item: () => void): void {
    this.expect(OPEN_LIST, "a list");
    this.enter();
    if (this.peek() === CLOSE_LIST) this.at++;
    else {
      do item();
      while (!this.isLast(CLOSE_LIST));
    }
    this.depth--;
  }

  string(): string {
    this.expect(QUOTE, "a string");
    // Mostly all of it is there, and nothing in it is escaped.
    const { window, filled, at } = this;
    let end = at;
    while (end < filled && window[end] !== QUOTE && window[end] !== BACKSLASH) end++;
    if (end < filled && window[end] === QUOTE) {
      this.at = end + 1;
      return textOf(window, at, end);
    }
    return this.longString();
  }

  /** The rest of a string behind its quote. */
  private longString(): string {
    const parts: Uint8Array[] = [];
    let whole = "";
    const take = () => {
      if (parts.length > 0)
        whole += bytesToText(parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts));
      parts.length = 0;
    };
    this.rest(
      (bytes) => parts.push(bytes),
      (character) => {
        take();
        whole += character;
      },
    );
    take();
    return whole;
  }

  /** A string as it comes: pieces of bytes, which are the receiver's, and the characters that were escaped. */
  pieces(plain: (bytes: Uint8Array) => void, escaped: (character: string) => void): void {
    this.expect(QUOTE, "a string");
    this.rest(plain, escaped);
  }

  private rest(plain: (bytes: Uint8Array) => void, escaped: (character: string) => void): void {
    for (;;) {
      if (this.at === this.filled && !this.fill()) this.fail("the string has no end");
      const { window, filled } = this;
      let end = this.at;
      while (end < filled && window[end] !== QUOTE && window[end] !== BACKSLASH) end++;
      if (end > this.at) plain(window.slice(this.at, end));
      this.at = end;
      if (end === filled) continue;
      this.at++;
      if (window[end] === QUOTE) return;
      escaped(this.escape());
    }
  }

  /** Throws unless there is nothing but white space left. */
  end(): void {
    if (this.peek() !== END) this.fail("something follows what is the end");
  }

  private escape(): string {
    const letter = String.fromCharCode(this.next());
    if (letter !== "u") return ESCAPES[letter] ?? this.fail(`\\${letter} is no escape`);
    let digits = "";
    while (digits.length < 4) digits += String.fromCharCode(this.next());
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail(`\\u${digits} is no escape`);
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  /** A number, or true, false, null. */
  private word(): null | boolean | number | bigint {
    const short = this.shortNumber();
    if (short >= 0) return short;
    let word = "";
    for (;;) {
      const byte = this.at < this.filled || this.fill() ? (this.window[this.at] ?? 0) : 0;
      if (!isWordByte(byte)) break;
      if (word.length > 400) this.fail("a number of so many digits is none of an image's");
      word += String.fromCharCode(byte);
      this.at++;
    }
    if (word === "true") return true;
    if (word === "false") return false;
    if (word === "null") return null;
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(word)) {
      this.fail(word === "" ? "this is no JSON" : `"${word}" is no JSON`);
    }
    const number = Number(word);
    return Number.isSafeInteger(number) || !/^-?\d+$/.test(word) ? number : BigInt(word);
  }

  /** A number of few digits that is there as a whole, and not the beginning of another word; -1 for all else. */
  private shortNumber(): number {
    const { window, filled, at } = this;
    let number = 0;
    let end = at;
    while (end < filled) {
      const digit = (window[end] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
      end++;
    }
    const isPlain = end > at && end - at <= SHORT && end < filled && !isWordByte(window[end] ?? 0);
    if (!isPlain || (end - at > 1 && window[at] === 0x30)) return -1;
    this.at = end;
    return number;
  }

  /** Behind a value: whether it was the last one, else the comma is taken. */
  private isLast(closing: number): boolean {
    const byte = this.peek();
    if (byte !== closing && byte !== COMMA)
      this.fail(byte === END ? "the end is missing" : "a comma is missing");
    this.at++;
    return byte === closing;
  }

  private expect(byte: number, what: string): void {
    if (this.peek() !== byte) this.fail(`${what} is expected`);
    this.at++;
  }

  private enter(): void {
    if (++this.depth > MAX_DEPTH) this.fail("nested too deeply");
  }

  /** The next byte that is no white space, which is not taken. */
  private peek(): number {
    for (;;) {
      if (this.at === this.filled && !this.fill()) return END;
      const byte = this.window[this.at] ?? 0;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.at++;
    }
  }

  private next(): number {
    if (this.at === this.filled && !this.fill()) this.fail("the end is missing");
    return this.window[this.at++] ?? 0;
  }

  private fill(): boolean {
    this.start += this.filled;
    this.at = 0;
    this.filled = read(this.fd, this.window, this.start);
    return this.filled > 0;
  }
}
