/** Messages of images out of JSON, plain or pretty: what message-text.ts prints, and what a person would write. */
import type { FieldInfo } from "../images/fields.ts";
import { ENUMS, MESSAGES } from "../images/schema/generated/fields.ts";
import { textToAddress } from "./address.ts";
import { fromBase64 } from "./base64.ts";
import { CritError } from "./error.ts";
import type { Json, JsonObject } from "./json-reader.ts";
import type { Message } from "./message-text.ts";
import { FLAGS, textToBits, VALUES, wholeNumber } from "./names.ts";
import { fromQuotedPrintable } from "./quoted-printable.ts";

/** The message `name` (a key of MESSAGES). @throws CritError for a field that is missing, unknown or not what it should be */
export function messageOf(name: string, object: JsonObject): Message {
  const message: Record<string, unknown> = {};
  const fields = MESSAGES[name] ?? [];
  for (const key of object.keys()) {
    if (!fields.some((field) => field.name === key)) throw new CritError(`${name} has no field "${key}"`);
  }
  for (const field of fields) {
    const at = `${name}.${field.name}`;
    const value = object.get(field.name);
    if (field.label === "repeated") message[field.name] = listOf(field, value, at);
    else if (value !== undefined) message[field.name] = one(field, value, at);
    else if (field.label === "required") throw new CritError(`${at} is missing`);
  }
  return message;
}

function listOf(field: FieldInfo, value: Json | undefined, at: string): unknown[] | undefined {
  if (value === undefined) return field.packed ? undefined : [];
  if (!Array.isArray(value)) throw new CritError(`${at} is no list`);
  const [first] = value;
  if (field.hints?.ipadd === true && typeof first === "string" && value.length === 1) {
    return textToAddress(first) ?? wrong(at, first, "IP address");
  }
  return value.map((item) => one(field, item, at));
}

function wrong(at: string, value: Json, what: string): never {
  const shown =
    value instanceof Map ? "an object" : Array.isArray(value) ? "a list" : JSON.stringify(String(value));
  throw new CritError(`${at}: ${shown} is no ${what}`);
}

function one(field: FieldInfo, value: Json, at: string): unknown {
  if (field.kind === "message") {
    return value instanceof Map ? messageOf(field.type, value) : wrong(at, value, field.type);
  }
  if (field.kind === "enum") return enumValue(field, value, at);
  switch (field.type) {
    case "bool":
      return typeof value === "boolean" ? value : wrong(at, value, "bool");
    case "string":
      return typeof value === "string" ? value : wrong(at, value, "string");
    case "bytes":
      return bytesOf(field, value, at);
    default:
      return numberOf(field, value, at);
  }
}

function enumValue(field: FieldInfo, value: Json, at: string): number {
  const values = ENUMS[field.type] ?? {};
  const number =
    typeof value === "string" ? values[value] : Object.values(values).find((known) => known === value);
  return number ?? wrong(at, value, `value of ${field.type}`);
}

function bytesOf(field: FieldInfo, value: Json, at: string): Uint8Array {
  if (typeof value !== "string") wrong(at, value, "text");
  if (field.hints?.conv === "unix_name") return fromQuotedPrintable(value);
  return fromBase64(value) ?? wrong(at, value, "base64");
}

/** A 64-bit number is a bigint, as in the codecs, and all others are numbers. The codec checks the range. */
function numberOf(field: FieldInfo, value: Json, at: string): number | bigint {
  const number = typeof value === "string" ? namedNumber(field, value) : value;
  const is64 = field.type.endsWith("64");
  if (typeof number === "bigint") return is64 ? number : Number(number);
  if (typeof number !== "number" || !Number.isSafeInteger(number)) wrong(at, value, field.type);
  return is64 ? BigInt(number) : number;
}

/** A number as `--pretty` prints it, and in hexadecimal. */
function namedNumber(field: FieldInfo, text: string): number | bigint | undefined {
  const { hints } = field;
  if (hints?.dev === true) {
    const device = /^(\d+):(\d+)$/.exec(text);
    if (device !== null) return deviceOf(Number(device[1]), Number(device[2]), hints.odev === true);
  }
  const bits = hints?.flags === undefined ? undefined : FLAGS[hints.flags];
  if (bits !== undefined) return textToBits(text, bits);
  const names = hints?.dict === undefined ? undefined : VALUES[hints.dict]?.[field.name];
  for (const [value, name] of Object.entries(names ?? {})) if (name === text) return Number(value);
  return wholeNumber(text);
}

function deviceOf(major: number, minor: number, ofStat: boolean): number {
  if (!ofStat) return ((major << 20) | minor) >>> 0;
  return (((major & 0xfff) << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12)) >>> 0;
}
