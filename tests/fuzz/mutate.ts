/** Changes to a directory of images, at random, the same for the same seed. */

import type { FieldInfo } from "../../src/images/fields.ts";
import { encodeImage, ImageReader } from "../../src/images/image-file.ts";
import { type AnyImageKind, hasMessages, IMAGES, kindOfFile } from "../../src/images/kinds.ts";
import { ENUMS, MESSAGES } from "../../src/images/schema/generated/fields.ts";

/** A directory of images in memory: bytes by file name. */
export type Images = Map<string, Uint8Array>;

/** A whole number from 0 up to below `bound`. */
type Draw = (bound: number) => number;

/** What became of a directory, and the story of it in words. */
export interface Mutant {
  images: Images;
  story: string[];
}

type Message = Record<string, unknown>;

/** Where in a message a field is. */
interface Site {
  owner: Message;
  info: FieldInfo;
  path: string;
}

/** An image file taken apart. */
interface Parts {
  kind: AnyImageKind;
  head: Message | undefined;
  records: { entry: Message; payload: Uint8Array }[];
  /** What follows the head of a kind without entries (a ghost file's content). */
  rest: Uint8Array;
}

function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % bound;
  };
}

function pick<T>(draw: Draw, list: readonly T[]): T {
  const chosen = list[draw(list.length)];
  if (chosen === undefined) throw new Error("nothing to choose from");
  return chosen;
}

/** The kind of an image file by its name; undefined for pages and the like. */
function kindOf(file: string): AnyImageKind | undefined {
  const kind = kindOfFile(file)?.kind;
  return kind !== undefined && hasMessages(kind) ? kind : undefined;
}

function takeApart(file: string, bytes: Uint8Array): Parts | undefined {
  const kind = kindOf(file);
  if (kind === undefined) return undefined;
  try {
    const reader = new ImageReader(kind, file, bytes);
    const head = reader.head as Message | undefined;
    if (kind === IMAGES.ghost_file && head?.chunks !== true)
      return { kind, head, records: [], rest: reader.rest().bytes() };
    const records = Array.from(reader, ({ entry, payload }) => ({
      entry: entry as Message,
      payload: payload.bytes(),
    }));
    return { kind, head, records, rest: new Uint8Array(0) };
  } catch {
    // changed before, and not an image any more
    return undefined;
  }
}

function putTogether(file: string, { kind, head, records, rest }: Parts): Uint8Array {
  // One entry is encoded at a time, since payloads stand between them.
  const start = encodeImage(kind, [], file, head);
  const parts = records.flatMap(({ entry, payload }) => [
    encodeImage(kind, [entry], file, head).subarray(start.length),
    payload,
  ]);
  return new Uint8Array(Buffer.concat([start, ...parts, rest]));
}

/** Every field in a message and in those it holds, set or not. */
function sitesOf(message: Message, type: string, path: string): Site[] {
  return (MESSAGES[type] ?? []).flatMap((info) => {
    const here = `${path}.${info.name}`;
    const value = message[info.name];
    const inner =
      info.kind !== "message" ? [] : Array.isArray(value) ? value : value === undefined ? [] : [value];
    return [
      { owner: message, info, path: here },
      ...inner.flatMap((each: Message, index) =>
        sitesOf(each, info.type, Array.isArray(value) ? `${here}[${index}]` : here),
      ),
    ];
  });
}

const PATHS = [
  "",
  "/",
  "/nonexistent",
  "a/b",
  "../../..",
  "/dev/zero",
  "/proc/self/exe",
  "/proc/1/mem",
  "a\0b",
  "/dev/null",
];
const NUMBERS = [
  0, 1, 2, 3, 7, 8, 4095, 4096, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
];
const LONG_NUMBERS = [
  0n,
  1n,
  7n,
  4095n,
  4096n,
  0xffffffffn,
  0x100000000n,
  0x1fffffffffffffn,
  0x20000000000000n,
  0x7ffffffff000n,
  0x800000000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xfffffffffffff000n,
  0xffffffffffffffffn,
];
/** So often an element of a list comes again, where it comes again many times. */
const MANY = [2, 100, 5000];

function otherNumber(draw: Draw, type: string, before: number): number {
  const changed = [
    () => pick(draw, NUMBERS),
    () => before + 1,
    () => before - 1,
    () => before ^ (1 << draw(32)),
    () => -before,
    () => draw(0x7fffffff),
  ];
  const value = pick(draw, changed)();
  return type === "uint32" ? value >>> 0 : value | 0;
}

function otherLong(draw: Draw, type: string, before: bigint): bigint {
  const changed = [
    () => pick(draw, LONG_NUMBERS),
    () => before + 1n,
    () => before - 1n,
    () => before + 4096n * BigInt(draw(100)),
    () => before - 4096n * BigInt(draw(100)),
    () => before ^ (1n << BigInt(draw(64))),
    () => before * 2n,
    () => -before,
  ];
  const value = pick(draw, changed)();
  return /^u|fixed/.test(type) ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value);
}

function otherBytes(draw: Draw, before: Uint8Array): Uint8Array {
  const kept = before.slice(0, draw(before.length + 1));
  const more = new Uint8Array(draw(3) === 0 ? 100_000 : draw(64)).fill(draw(256));
  return pick(draw, [kept, more, new Uint8Array(Buffer.concat([before, more])), flipped(draw, before)]);
}

function flipped(draw: Draw, before: Uint8Array): Uint8Array {
  const after = before.slice();
  if (after.length === 0) return after;
  const at = draw(after.length);
  after[at] = (after[at] ?? 0) ^ (1 << draw(8));
  return after;
}

function otherText(draw: Draw, before: string): string {
  return pick(draw, [
    pick(draw, PATHS),
    before.slice(0, draw(before.length + 1)),
    `${before}x`,
    "y".repeat(5000),
  ]);
}

function emptyMessage(type: string): Message {
  const fields = (MESSAGES[type] ?? []).filter(({ label }) => label !== "optional");
  return Object.fromEntries(
    fields.map((info) => [info.name, info.label === "repeated" ? [] : initial(info)]),
  );
}

function initial({ kind, type }: FieldInfo): unknown {
  if (kind === "message") return emptyMessage(type);
  if (kind === "enum") return Object.values(ENUMS[type] ?? {})[0] ?? 0;
  if (type === "bool") return false;
  if (type === "string") return "";
  if (type === "bytes") return new Uint8Array(0);
  return /64/.test(type) ? 0n : 0;
}

function otherValue(draw: Draw, info: FieldInfo, before: unknown): unknown {
  const value = before ?? initial(info);
  if (info.kind === "enum") return pick(draw, Object.values(ENUMS[info.type] ?? { none: 0 }));
  if (info.kind === "message") return emptyMessage(info.type);
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") return otherNumber(draw, info.type, value);
  if (typeof value === "bigint") return otherLong(draw, info.type, value);
  if (value instanceof Uint8Array) return otherBytes(draw, value);
  return otherText(draw, String(value));
}

function words(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `${value.length} elements`;
  if (typeof value === "object" && value !== null) return "a message";
  return typeof value === "bigint" ? `0x${value.toString(16)}` : String(value).slice(0, 40);
}

/** Changes one field. Gives the story. */
function changeField(draw: Draw, { owner, info, path }: Site): string {
  const before = owner[info.name];
  let after: unknown;
  if (info.label === "repeated") {
    const list: unknown[] = Array.isArray(before) ? before.slice() : [];
    const at = draw(list.length + 1);
    const action = draw(5);
    if (action === 0) list.length = 0;
    else if (action === 1) list.splice(at, 1);
    else if (action === 2 && list.length > 0) list.push(...Array(pick(draw, MANY)).fill(list[at] ?? list[0]));
    else if (action === 3 && list.length > 1) list.reverse();
    else list[at] = otherValue(draw, info, list[at]);
    after = list;
  } else if (before !== undefined && info.label === "optional" && draw(4) === 0) after = undefined;
  else after = otherValue(draw, info, before);
  owner[info.name] = after;
  return `${path}: ${words(before)} -> ${words(after)}`;
}

/** Gives a field the value that another entry has there. */
function swapField(draw: Draw, type: string, one: Message, other: Message): string {
  const name = pick(draw, MESSAGES[type] ?? []).name;
  [one[name], other[name]] = [other[name], one[name]];
  return `.${name} is swapped between two entries`;
}

const clone = <T>(value: T): T => structuredClone(value);

function changeEntries(draw: Draw, parts: Parts): string {
  const { records, kind } = parts;
  const type = kind.codec.name;
  const at = draw(records.length);
  const other = draw(records.length);
  const record = records[at];
  const second = records[other];
  if (record === undefined || second === undefined) return "is left as it is";
  switch (draw(5)) {
    case 0: {
      const times = pick(draw, [1, 1, 1, 500]);
      records.splice(other, 0, ...Array.from({ length: times }, () => clone(record)));
      return `entry ${at} comes ${times} times more at ${other}`;
    }
    case 1:
      records.splice(at, 1);
      return `entry ${at} is taken out`;
    case 2:
      records[at] = second;
      records[other] = record;
      return `entries ${at} and ${other} change places`;
    default:
      return `entries ${at} and ${other}: ${swapField(draw, type, record.entry, second.entry)}`;
  }
}

/** Mappings that overlap, stand on their heads, or lie where none can. */
function changeMappings(draw: Draw, mm: Message): string {
  const vmas = (mm.vmas ?? []) as Message[];
  const one = vmas[draw(vmas.length || 1)];
  const other = vmas[draw(vmas.length || 1)];
  if (one === undefined || other === undefined) return "has no mappings";
  const before = `${words(one.start)}-${words(one.end)}`;
  const changes = [
    () => Object.assign(one, { start: other.start }),
    () => Object.assign(one, { end: other.end }),
    () => Object.assign(one, { start: one.end, end: one.start }),
    () => Object.assign(one, { end: 0x800000000000n }),
    () => Object.assign(one, { start: 0xffffffff80000000n, end: 0xffffffffff600000n }),
    () => Object.assign(one, { start: 0n }),
    () => Object.assign(one, { start: 0n, end: 0xfffffffffffff000n }),
    () => Object.assign(one, { shmid: other.shmid, status: other.status }),
    () => Object.assign(one, { pgoff: 0x7ffffffffffff000n }),
    () => vmas.reverse(),
    () => vmas.splice(draw(vmas.length), 0, clone(one)),
  ];
  pick(draw, changes)();
  return `mapping ${before} -> ${words(one.start)}-${words(one.end)}`;
}

function changeMessages(
  draw: Draw,
  file: string,
  bytes: Uint8Array,
): { bytes: Uint8Array; story: string } | undefined {
  const parts = takeApart(file, bytes);
  if (parts === undefined) return undefined;
  let story: string;
  const mm = parts.records[0]?.entry;
  if (parts.kind === IMAGES.mm && mm !== undefined && draw(2) === 0) story = changeMappings(draw, mm);
  else if (draw(3) === 0 && parts.records.length > 0) story = changeEntries(draw, parts);
  else {
    const heads =
      parts.head === undefined || parts.kind.head === undefined
        ? []
        : sitesOf(parts.head, parts.kind.head.name, "head");
    const type = parts.kind.codec.name;
    const chosen = draw(parts.records.length || 1);
    const entry = parts.records[chosen]?.entry;
    const sites = entry === undefined ? heads : [...heads, ...sitesOf(entry, type, `entry ${chosen}`)];
    if (sites.length === 0) return undefined;
    // What is there is of more interest than what could be.
    const set = sites.filter(({ owner, info }) => owner[info.name] !== undefined);
    story = changeField(draw, pick(draw, draw(8) === 0 || set.length === 0 ? sites : set));
  }
  return { bytes: putTogether(file, parts), story };
}

function changeBytes(draw: Draw, before: Uint8Array): { bytes: Uint8Array; story: string } {
  const at = draw(before.length + 1);
  const length = Math.min(1 + draw(16), before.length - at);
  const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
  const random = Uint8Array.from({ length: 1 + draw(16) }, () => draw(256));
  switch (draw(8)) {
    case 0:
      return { bytes: before.slice(0, at), story: `is cut at ${at}` };
    case 1:
      return {
        bytes: join(before.subarray(0, at), random, before.subarray(at)),
        story: `${random.length} bytes are put in at ${at}`,
      };
    case 2:
      return {
        bytes: join(before.subarray(0, at), before.subarray(at + length)),
        story: `${length} bytes are taken out at ${at}`,
      };
    case 3:
      return { bytes: join(before, random), story: `${random.length} bytes follow its end` };
    case 4: {
      const bytes = before.slice();
      bytes.fill(pick(draw, [0, 0xff]), at, at + length);
      return { bytes, story: `${length} bytes are made the same at ${at}` };
    }
    default:
      return { bytes: flipped(draw, before), story: "a bit is flipped" };
  }
}

function changeDirectory(draw: Draw, images: Images): string {
  const names = [...images.keys()];
  const one = pick(draw, names);
  const other = pick(draw, names);
  const bytes = images.get(one) ?? new Uint8Array(0);
  switch (draw(4)) {
    case 0:
      images.delete(one);
      return `${one} is taken away`;
    case 1:
      images.set(one, new Uint8Array(0));
      return `${one} is emptied`;
    case 2:
      images.set(one, images.get(other) ?? bytes);
      images.set(other, bytes);
      return `${one} and ${other} change places`;
    default: {
      const alike = names.filter((name) => name.replace(/\d+/, "") === one.replace(/\d+/, ""));
      const twin = pick(draw, alike);
      images.set(twin, bytes);
      return `${twin} becomes a copy of ${one}`;
    }
  }
}

/** The mutant of this seed; `base` stays as it is. */
export function mutate(base: Images, seed: number): Mutant {
  const draw = drawFrom(seed);
  const images = new Map(base);
  const story: string[] = [];
  const count = pick(draw, [1, 1, 1, 1, 2, 3]);
  for (let at = 0; at < count; at++) {
    const way = draw(100);
    if (way < 8) {
      story.push(changeDirectory(draw, images));
      continue;
    }
    // Contents of memory may be anything; their files are changed now and then, for their length.
    const names = [...images.keys()].filter((name) => !/^(pages-|stats-)/.test(name) || draw(20) === 0);
    const file = pick(draw, names);
    const bytes = images.get(file) ?? new Uint8Array(0);
    const changed = way < 70 ? changeMessages(draw, file, bytes) : undefined;
    const { bytes: after, story: told } = changed ?? changeBytes(draw, bytes);
    images.set(file, after);
    story.push(`${file}: ${told}`);
  }
  return { images, story };
}
