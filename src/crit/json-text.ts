/** JSON text as Python's json module writes it: ASCII alone; in one line, or with indents of four. */

/** How lists and objects are laid out. `depth` is that of the list or object itself. */
export interface Style {
  readonly pretty: boolean;
  list(items: readonly string[], depth: number): string;
  object(members: readonly string[], depth: number): string;
  /** What stands between the items of a list whose depth is `depth`, before the first, and behind the last. */
  between(depth: number): string;
  before(depth: number): string;
  behind(depth: number): string;
}

export const COMPACT: Style = {
  pretty: false,
  list: (items) => `[${items.join(", ")}]`,
  object: (members) => `{${members.join(", ")}}`,
  between: () => ", ",
  before: () => "",
  behind: () => "",
};

function line(depth: number): string {
  return `\n${"    ".repeat(depth)}`;
}

export const PRETTY: Style = {
  pretty: true,
  list: (items, depth) => spread("[", items, "]", depth),
  object: (members, depth) => spread("{", members, "}", depth),
  between: (depth) => `,${line(depth + 1)}`,
  before: (depth) => line(depth + 1),
  behind: (depth) => line(depth),
};

function spread(opening: string, parts: readonly string[], closing: string, depth: number): string {
  if (parts.length === 0) return opening + closing;
  return opening + line(depth + 1) + parts.join(`,${line(depth + 1)}`) + line(depth) + closing;
}

const PLAIN = /^[ !#-[\]-~]*$/;
const NOT_ASCII = /[\u007f-\uffff]/g;

/** A string, quoted. A lone surrogate, which is a byte that is no UTF-8 (linux/text.ts), stays one. */
export function quoted(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    NOT_ASCII,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Bytes in a line of base64 as Python's base64.encodebytes breaks them. */
export const BASE64_LINE = 57;

/** Bytes in base64 with a line end after every 76 characters and at the end, as the inside of a JSON string. */
export function base64Lines(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
  return text.replace(/.{1,76}/g, "$&\\n");
}
