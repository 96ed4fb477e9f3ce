/** Writing a tar archive: headers, and content in pieces (see tar-format.ts). */
import { textToBytes } from "../../../linux/text.ts";
import { BLOCK, type Extent, FIELD, PAX, padding, type TarEntry, TYPE, USTAR_MAGIC } from "./tar-format.ts";

const NAME_BYTES = FIELD.name[1];
const LINK_BYTES = FIELD.link[1];
/** What octal digits of a field hold: one byte of it is the NUL at its end. */
const MAX_ID = 8 ** 7 - 1;
const MAX_SIZE = 8 ** 11 - 1;
const END = new Uint8Array(2 * BLOCK);

/** Where the archive goes; the bytes are the caller's again when it returns. */
export type Sink = (bytes: Uint8Array) => void;

export class TarWriter {
  /** Content that is still to come, and how much then is missing to a whole block. */
  #open = 0;
  #pad = 0;

  constructor(private readonly sink: Sink) {}

  /** Begins an entry. Of a regular file, its content follows: all `extents`, or `size` bytes. */
  begin(entry: TarEntry): void {
    this.#expectClosed();
    const { extents } = entry;
    const map = extents === undefined ? undefined : sparseMap(extents, entry.size);
    const stored = extents === undefined ? entry.size : sum(extents) + (map?.length ?? 0);
    const size = entry.type === TYPE.FILE ? stored : 0;
    const records = recordsOf(entry, size);
    if (records.length > 0) {
      const name = textToBytes("./PaxHeaders/0");
      this.sink(header({ ...entry, type: TYPE.PAX, mode: 0o644 }, name, new Uint8Array(), records.length));
      this.sink(records);
      this.sink(new Uint8Array(padding(records.length)));
    }
    const path = textToBytes(map === undefined ? entry.path : "./GNUSparseFile.0/0");
    this.sink(header(entry, path, textToBytes(entry.link), size));
    this.#open = size;
    this.#pad = padding(size);
    if (map !== undefined) this.content(map);
    else if (size === 0) this.#pad = 0;
  }

  /** More of the content of the entry that was begun. */
  content(bytes: Uint8Array): void {
    if (bytes.length > this.#open) throw new RangeError("more content than the header says");
    this.sink(bytes);
    this.#open -= bytes.length;
    if (this.#open > 0) return;
    this.sink(new Uint8Array(this.#pad));
    this.#pad = 0;
  }

  /** Ends the archive. */
  end(): void {
    this.#expectClosed();
    this.sink(END);
  }

  #expectClosed(): void {
    if (this.#open > 0) throw new RangeError("less content than the header says");
  }
}

function sum(extents: readonly Extent[]): number {
  return extents.reduce((all, { size }) => all + size, 0);
}

/** The map of a sparse file of kind 1.0: decimal numbers in lines, filled up to whole blocks. */
function sparseMap(extents: readonly Extent[], total: number): Uint8Array {
  const last = extents.at(-1);
  const ends = last !== undefined && last.offset + last.size === total;
  // A hole at the end is told by an empty part after it.
  const all = ends ? extents : [...extents, { offset: total, size: 0 }];
  const numbers = [all.length, ...all.flatMap(({ offset, size }) => [offset, size])];
  const text = textToBytes(numbers.map((number) => `${number}\n`).join(""));
  const map = new Uint8Array(text.length + padding(text.length));
  map.set(text);
  return map;
}

function header(entry: TarEntry, path: Uint8Array, link: Uint8Array, size: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  block.set(path.subarray(0, NAME_BYTES), FIELD.name[0]);
  octal(block, FIELD.mode, entry.mode);
  octal(block, FIELD.uid, Math.min(entry.uid, MAX_ID));
  octal(block, FIELD.gid, Math.min(entry.gid, MAX_ID));
  octal(block, FIELD.size, Math.min(size, MAX_SIZE));
  const seconds = Number(entry.mtime.sec);
  octal(block, FIELD.mtime, Math.max(0, Math.min(seconds, MAX_SIZE)));
  block[FIELD.type[0]] = entry.type.charCodeAt(0);
  block.set(link.subarray(0, LINK_BYTES), FIELD.link[0]);
  block.set(textToBytes(USTAR_MAGIC), FIELD.magic[0]);
  octal(block, FIELD.major, entry.major);
  octal(block, FIELD.minor, entry.minor);
  block.fill(0x20, FIELD.checksum[0], FIELD.checksum[0] + FIELD.checksum[1]);
  const checksum = block.reduce((all, byte) => all + byte, 0);
  block.set(textToBytes(`${checksum.toString(8).padStart(6, "0")}\0`), FIELD.checksum[0]);
  return block;
}

function octal(block: Uint8Array, [at, length]: readonly [number, number], value: number): void {
  block.set(textToBytes(value.toString(8).padStart(length - 1, "0")), at);
}

/** The pax records of what the header cannot hold, `size` the bytes that are stored. */
function recordsOf(entry: TarEntry, size: number): Uint8Array {
  const records: Uint8Array[] = [];
  const add = (key: string, value: string | Uint8Array | number) => {
    records.push(record(key, typeof value === "object" ? value : textToBytes(String(value))));
  };
  const { mtime } = entry;
  if (entry.extents !== undefined) {
    add(PAX.SPARSE_MAJOR, 1);
    add(PAX.SPARSE_MINOR, 0);
    add(PAX.SPARSE_NAME, entry.path);
    add(PAX.SPARSE_SIZE, entry.size);
  } else if (textToBytes(entry.path).length > NAME_BYTES) add(PAX.PATH, entry.path);
  if (textToBytes(entry.link).length > LINK_BYTES) add(PAX.LINK, entry.link);
  if (size > MAX_SIZE) add(PAX.SIZE, size);
  if (entry.uid > MAX_ID) add(PAX.UID, entry.uid);
  if (entry.gid > MAX_ID) add(PAX.GID, entry.gid);
  if (mtime.nsec !== 0 || mtime.sec < 0n || mtime.sec > BigInt(MAX_SIZE)) add(PAX.MTIME, timeText(mtime));
  for (const [name, value] of entry.attributes) add(PAX.ATTRIBUTE + name, value);
  if (entry.sockets !== undefined) add(PAX.SOCKETS, entry.sockets);
  const all = new Uint8Array(records.reduce((length, each) => length + each.length, 0));
  let at = 0;
  for (const each of records) {
    all.set(each, at);
    at += each.length;
  }
  return all;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function record(key: string, value: Uint8Array): Uint8Array {
  const rest = textToBytes(` ${key}=`);
  const without = rest.length + value.length + 1;
  let length = without;
  while (length !== without + String(length).length) length = without + String(length).length;
  const bytes = new Uint8Array(length);
  bytes.set(textToBytes(String(length)));
  bytes.set(rest, length - without);
  bytes.set(value, length - 1 - value.length);
  bytes[length - 1] = 0x0a;
  return bytes;
}

/** Decimal seconds; before the epoch the fraction counts the same way. */
function timeText({ sec, nsec }: TarEntry["mtime"]): string {
  if (nsec === 0) return String(sec);
  const [whole, fraction, sign] = sec < 0n ? [-sec - 1n, 1_000_000_000 - nsec, "-"] : [sec, nsec, ""];
  return `${sign}${whole}.${String(fraction).padStart(9, "0")}`;
}
