/** Messages of images as JSON text, as CRIU 4.2's crit prints them. */
import type { FieldInfo } from "../images/fields.ts";
import { ENUMS, MESSAGES } from "../images/schema/generated/fields.ts";
import { addressToText } from "./address.ts";
import { base64Lines, quoted, type Style } from "./json-text.ts";
import { bitsToText, FLAGS, VALUES } from "./names.ts";
import { toQuotedPrintable } from "./quoted-printable.ts";

/** A message with its fields by name. */
export type Message = Readonly<Record<string, unknown>>;

export function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null;
}

/** The message `name` (a key of MESSAGES), which stands at `depth`, with members that follow its fields. */
export function messageText(
  name: string,
  message: unknown,
  style: Style,
  depth: number,
  more: readonly string[] = [],
): string {
  return text(name, message, style, depth, false, more);
}

function text(
  name: string,
  message: unknown,
  style: Style,
  depth: number,
  hex: boolean,
  more: readonly string[],
): string {
  const members: string[] = [];
  if (isMessage(message)) {
    for (const field of MESSAGES[name] ?? []) {
      const value = message[field.name];
      if (value === undefined) continue;
      const shown = fieldText(field, value, style, depth + 1, hex || field.hints?.hex === true);
      if (shown !== undefined) members.push(`"${field.name}": ${shown}`);
    }
  }
  return style.object(more.length > 0 ? [...members, ...more] : members, depth);
}

/** undefined for a list that is empty. */
function fieldText(
  field: FieldInfo,
  value: unknown,
  style: Style,
  depth: number,
  hex: boolean,
): string | undefined {
  if (!Array.isArray(value)) return valueText(field, value, style, depth, hex);
  if (value.length === 0) return undefined;
  const address = style.pretty && field.hints?.ipadd === true ? addressToText(value) : undefined;
  if (address !== undefined) return style.list([quoted(address)], depth);
  const items = value.map((item: unknown) => valueText(field, item, style, depth + 1, hex));
  return style.list(items, depth);
}

function valueText(field: FieldInfo, value: unknown, style: Style, depth: number, hex: boolean): string {
  switch (typeof value) {
    case "number":
      if (field.kind === "enum") return quoted(enumName(field.type, value));
      return style.pretty ? prettyNumber(field, value, hex) : String(value);
    case "bigint":
      return style.pretty && hex ? `"0x${value.toString(16)}"` : value.toString();
    case "boolean":
      return String(value);
    case "string":
      return quoted(value);
    default:
      if (value instanceof Uint8Array) return bytesText(field, value);
      return text(field.type, value, style, depth, hex, []);
  }
}

/** The name of a value of an enum. The codecs let no other values through. */
function enumName(type: string, value: number): string {
  for (const [name, number] of Object.entries(ENUMS[type] ?? {})) if (number === value) return name;
  return String(value);
}

function prettyNumber(field: FieldInfo, value: number, hex: boolean): string {
  if (hex) return `"0x${value.toString(16)}"`;
  const { hints } = field;
  if (hints === undefined) return String(value);
  if (hints.dev === true) return `"${deviceText(value, hints.odev === true)}"`;
  if (hints.flags !== undefined) {
    const bits = FLAGS[hints.flags];
    return bits === undefined ? `"0x${value.toString(16)}"` : `"${bitsToText(value, bits)}"`;
  }
  const name = hints.dict === undefined ? undefined : VALUES[hints.dict]?.[field.name]?.[value];
  return name === undefined ? String(value) : quoted(name);
}

/** MAJOR:MINOR of a device number, which has 20 bits of minor; one of stat(2) has them apart. */
function deviceText(value: number, ofStat: boolean): string {
  if (!ofStat) return `${value >>> 20}:${value & 0xfffff}`;
  return `${(value >>> 8) & 0xfff}:${(value & 0xff) | ((value >>> 12) & 0xfff00)}`;
}

function bytesText(field: FieldInfo, value: Uint8Array): string {
  if (field.hints?.conv === "unix_name") return quoted(toQuotedPrintable(value));
  return `"${base64Lines(value)}"`;
}
