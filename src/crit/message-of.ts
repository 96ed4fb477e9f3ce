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
  let known = 0;
  for (const field of fields) {
    const value = object.get(field.name);
    if (value !== undefined) known++;
    if (field.label === "repeated") message[field.name] = listOf(field, value, name);
    else if (value !== undefined) message[field.name] = one(field, value, name);
    else if (field.label === "required") throw new CritError(`${name}.${field.name} is missing`);
  }
  if (known < object.size) {
    const unknown = [...object.keys()].find((key) => !fields.some((field) => field.name === key));
    throw new CritError(`${name} has no field "${unknown}"`);
  }
  return message;
}

function listOf(field: FieldInfo, value: Json | undefined, message: string): unknown[] | undefined {
  if (value === undefined) return field.packed ? undefined : [];
  if (!Array.isArray(value)) throw new CritError(`${message}.${field.name} is no list`);
  const [first] = value;
  if (field.hints?.ipadd === true && typeof first === "string" && value.length === 1) {
    return textToAddress(first) ?? wrong(field, first, message, "IP address");
  }
  return value.map((item) => one(field, item, message));
}

function wrong(field: FieldInfo, value: Json, message: string, what: string): never {
  const shown =
    value instanceof Map ? "an object" : Array.isArray(value) ? "a list" : JSON.stringify(String(value));
  throw new CritError(`${message}.${field.name}: ${shown} is no ${what}`);
}

function one(field: FieldInfo, value: Json, message: string): unknown {
  if (field.kind === "message") {
    return value instanceof Map ? messageOf(field.type, value) : wrong(field, value, message, field.type);
  }
  if (field.kind === "enum") return enumValue(field, value, message);
  switch (field.type) {
    case "bool":
      return typeof value === "boolean" ? value : wrong(field, value, message, "bool");
    case "string":
      return typeof value === "string" ? value : wrong(field, value, message, "string");
    case "bytes":
      return bytesOf(field, value, message);
    default:
      return numberOf(field, value, message);
  }
}

function enumValue(field: FieldInfo, value: Json, message: string): number {
  const values = ENUMS[field.type] ?? {};
  const number =
    typeof value === "string" ? values[value] : Object.values(values).find((known) => known === value);
  return number ?? wrong(field, value, message, `value of ${field.type}`);
}

function bytesOf(field: FieldInfo, value: Json, message: string): Uint8Array {
  if (typeof value !== "string") wrong(field, value, message, "text");
  if (field.hints?.conv === "unix_name") return fromQuotedPrintable(value);
  return fromBase64(value) ?? wrong(field, value, message, "base64");
}

/** A 64-bit number is a bigint, as in the codecs, and all others are numbers. The codec checks the range. */
function numberOf(field: FieldInfo, value: Json, message: string): number | bigint {
  const number = typeof value === "string" ? namedNumber(field, value) : value;
  const is64 = field.type.endsWith("64");
  if (typeof number === "bigint") return is64 ? number : Number(number);
  if (typeof number !== "number" || !Number.isSafeInteger(number)) wrong(field, value, message, field.type);
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
