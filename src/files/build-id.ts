/**
 * The build id of an ELF file, by which a restore tells another build of a program from the one that was dumped. Images
 * hold it as 32-bit words, the last one padded with zeros.
 */
import { alignUp } from "../linux/align.ts";
import {
  ELF_CLASS,
  ELF_MAGIC,
  elfHeader32,
  elfHeader64,
  elfIdent,
  elfProgram32,
  elfProgram64,
  PT,
} from "../linux/elf.ts";
import { read } from "../linux/io.ts";
import { struct, u32, viewOf } from "../linux/struct.ts";

/** Only what the linker puts near the beginning counts: CRIU looks no further. */
const LIMIT = 1 << 20;
const BITS = { [ELF_CLASS.BITS_32]: 32, [ELF_CLASS.BITS_64]: 64 } as const;
const NT_GNU_BUILD_ID = 3;
const MAX_ID = 512;

const noteHeader = struct({ namesz: u32, descsz: u32, type: u32 });

const start = new Uint8Array(elfHeader64.size);

/** Bytes `offset` to `offset + length` of the file's first MiB, as far as there are any. */
function part(fd: number, offset: number, length: number): Uint8Array {
  const end = Math.min(offset + length, LIMIT);
  if (offset >= end) return new Uint8Array(0);
  const bytes = new Uint8Array(end - offset);
  return bytes.subarray(0, read(fd, bytes, offset));
}

/** The build id of an open, readable file; undefined where it has none. @throws KernelError */
export function readBuildId(fd: number): number[] | undefined {
  if (read(fd, start, 0) < elfHeader32.size || viewOf(start).getUint32(0, true) !== ELF_MAGIC)
    return undefined;
  const bits = BITS[elfIdent.decode(start).class as 1 | 2];
  if (bits === undefined) return undefined;
  const header = bits === 64 ? elfHeader64.decode(start) : elfHeader32.decode(start);
  const program = bits === 64 ? elfProgram64 : elfProgram32;
  const programs = part(fd, header.phoff, header.phnum * program.size);
  for (let at = 0; at + program.size <= programs.length; at += program.size) {
    const { type, offset, filesz } = program.decode(programs, at);
    if (type !== PT.NOTE) continue;
    const id = buildIdIn(part(fd, offset, filesz));
    if (id !== undefined) return id;
  }
  return undefined;
}

function buildIdIn(notes: Uint8Array): number[] | undefined {
  for (let at = 0; at + noteHeader.size <= notes.length; ) {
    const note = noteHeader.decode(notes, at);
    const description = at + noteHeader.size + alignUp(note.namesz, 4);
    if (note.type === NT_GNU_BUILD_ID) {
      if (note.descsz === 0 || note.descsz > MAX_ID || description + note.descsz > notes.length)
        return undefined;
      return words(notes.subarray(description, description + note.descsz));
    }
    at = description + alignUp(note.descsz, 4);
  }
  return undefined;
}

function words(bytes: Uint8Array): number[] {
  const padded = new Uint8Array(alignUp(bytes.length, 4));
  padded.set(bytes);
  const view = viewOf(padded);
  const values: number[] = [];
  for (let at = 0; at < padded.length; at += 4) values.push(view.getUint32(at, true));
  return values;
}
