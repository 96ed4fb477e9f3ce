// Messages made up from the schema, for the tests of this folder.

import type { FieldInfo } from "./fields.ts";
import { type AnyImageKind, IMAGES } from "./kinds.ts";
import * as aarch64 from "./schema/generated/aarch64.ts";
import * as arm from "./schema/generated/arm.ts";
import * as cgroups from "./schema/generated/cgroups.ts";
import { ENUMS, MESSAGES } from "./schema/generated/fields.ts";
import * as files from "./schema/generated/files.ts";
import * as inventory from "./schema/generated/inventory.ts";
import * as loongarch64 from "./schema/generated/loongarch64.ts";
import * as memory from "./schema/generated/memory.ts";
import * as mips from "./schema/generated/mips.ts";
import * as namespaces from "./schema/generated/namespaces.ts";
import * as ppc64 from "./schema/generated/ppc64.ts";
import * as process from "./schema/generated/process.ts";
import * as riscv64 from "./schema/generated/riscv64.ts";
import * as rpc from "./schema/generated/rpc.ts";
import * as s390 from "./schema/generated/s390.ts";
import * as sockets from "./schema/generated/sockets.ts";
import * as stats from "./schema/generated/stats.ts";
import * as streamer from "./schema/generated/streamer.ts";
import * as x86 from "./schema/generated/x86.ts";
import type { Codec } from "./wire.ts";

export type Message = Record<string, unknown>;

function isCodec(value: unknown): value is Codec<Message> {
  return typeof value === "object" && value !== null && "read" in value && "name" in value;
}

/** Every codec by its message's name. */
export const CODECS: ReadonlyMap<string, Codec<Message>> = new Map(
  [
    [aarch64, arm, loongarch64, mips, ppc64, riscv64, s390, x86],
    [cgroups, files, inventory, memory, namespaces, process, rpc, sockets, stats, streamer],
  ]
    .flat()
    .flatMap((module) => Object.values<unknown>(module))
    .filter(isCodec)
    .map((codec) => [codec.name, codec]),
);

export function codecOf(name: string): Codec<Message> {
  const codec = CODECS.get(name);
  if (codec === undefined) throw new Error(`no message ${name}`);
  return codec;
}

/** Numbers from 0 up to 2^32, the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

/** Which fields a sample has: all of them, or each optional one by chance; `plain` leaves out odd text. */
export interface SampleOptions {
  all: boolean;
  plain: boolean;
}

const EDGES_32 = [0, 1, 127, 128, 0x3fff, 0x4000, 0x7fffffff, 0x80000000, 0xffffffff];
const EDGES_64 = [
  0n,
  1n,
  0xffffffffn,
  0x100000000n,
  0x1fffffffffffffn,
  0x20000000000000n,
  0x7fffffffffffffffn,
];

function scalar(type: string, random: () => number, options: SampleOptions): unknown {
  const pick = <T>(list: readonly T[]): T | undefined => list[random() % list.length];
  const word = random() % 2 === 0 ? (pick(EDGES_32) ?? 0) : random();
  const long = random() % 2 === 0 ? (pick(EDGES_64) ?? 0n) : (BigInt(random()) << 32n) | BigInt(random());
  switch (type) {
    case "uint32":
      return word;
    case "int32":
    case "sint32":
      return word | 0;
    case "uint64":
    case "fixed64":
      return long;
    case "int64":
    case "sint64":
      return BigInt.asIntN(64, long);
    case "bool":
      return random() % 2 === 0;
    case "string":
      return pick(
        options.plain
          ? ["", "a name", "/usr/lib/x86_64-linux-gnu/a/path/that/goes/beyond/sixty-four/bytes/libc.so.6"]
          : ["", "a name", "/ä/☃/𝄞", "/bad/\udcff\udc80/bytes", "/usr/lib/x86_64-linux-gnu/".repeat(12)],
      );
    case "bytes":
      return Uint8Array.from({ length: random() % 200 }, () => random() & 0xff);
    default:
      throw new Error(`no samples of ${type}`);
  }
}

function value(field: FieldInfo, random: () => number, options: SampleOptions, depth: number): unknown {
  if (field.kind === "message") return sample(field.type, random, options, depth + 1);
  if (field.kind === "enum") {
    const values = Object.values(ENUMS[field.type] ?? {});
    return values[random() % Math.min(values.length, 4)];
  }
  return scalar(field.type, random, options);
}

/** A made-up message. Every field of the interface is there, absent ones as undefined, as decoding gives them. */
export function sample(name: string, random: () => number, options: SampleOptions, depth = 0): Message {
  const message: Message = {};
  for (const field of MESSAGES[name] ?? []) {
    if (field.label === "repeated") {
      let count = options.all ? 1 + (random() % 3) : random() % 4;
      // Some messages nest without an end.
      if (field.kind === "message" && depth > 0) count = depth > 2 ? 0 : Math.min(count, 1);
      // An address of IPv4 or IPv6.
      if (field.hints?.ipadd) count = random() % 2 === 0 ? 1 : 4;
      const list = Array.from({ length: count }, () => value(field, random, options, depth));
      message[field.name] = field.packed && count === 0 ? undefined : list;
    } else if (field.label === "required" || options.all || random() % 2 === 0) {
      message[field.name] = value(field, random, options, depth);
    } else {
      message[field.name] = undefined;
    }
  }
  return message;
}

/** What is set in a sample so that the payload it speaks of is short; how long that payload then is, and the zeros behind it. */
const PAYLOADS: Partial<Record<keyof typeof IMAGES, [fields: Message, length: number, padding?: number]>> = {
  pipes_data: [{ bytes: 5 }, 5],
  fifo_data: [{ bytes: 0 }, 0],
  sk_queues: [{ length: 3 }, 3],
  tcp_stream: [{ inq_len: 4, outq_len: 7 }, 11],
  bpfmap_data: [{ keys_bytes: 8, values_bytes: 3 }, 11],
  ipcns_shm: [{ size: 9n, in_pagemaps: false }, 9, 3],
  ipcns_sem: [{ nsems: 5 }, 10, 6],
  ipcns_msg: [{ qnum: 0 }, 0],
  ghost_file: [{ len: 6n }, 6],
};

export interface KindSample {
  key: string;
  kind: AnyImageKind;
  head: Message | undefined;
  records: { entry: Message; payload: Uint8Array }[];
}

/** An image file of each kind, with `count` entries. */
export function kindSamples(seed: number, options: SampleOptions, count = 2): KindSample[] {
  const random = randomOf(seed);
  return Object.entries<AnyImageKind>(IMAGES).map(([key, kind]) => {
    const [fields, length, padding = 0] = PAYLOADS[key as keyof typeof IMAGES] ?? [{}, 0];
    const headName = kind.head?.name;
    const head = headName === undefined ? undefined : sample(headName, random, options);
    if (key === "ghost_file" && head !== undefined) head.chunks = true;
    const records = Array.from({ length: count }, () => ({
      entry: { ...sample(kind.codec.name, random, options), ...fields },
      payload: Uint8Array.from({ length: length + padding }, (_, n) => (n < length ? random() & 0xff : 0)),
    }));
    return { key, kind, head, records };
  });
}
