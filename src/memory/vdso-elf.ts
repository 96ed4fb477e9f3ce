/** The functions of a vDSO: a shared object of the ELF kind, loaded as it is, whose dynamic symbols name them. */
import { ImageError } from "../images/error.ts";
import { ELF_MAGIC, elfHeader64, elfProgram64, PT } from "../linux/elf.ts";
import { viewOf } from "../linux/struct.ts";

/** Elf64_Sym (include/uapi/linux/elf.h): offsets of what is read. */
const SYM = { name: 0, info: 4, shndx: 6, value: 8, size: 16, entry: 24 } as const;
const DT = { HASH: 4, STRTAB: 5, SYMTAB: 6, GNU_HASH: 0x6fff_fef5 } as const;
const STT = { NOTYPE: 0, FUNC: 2 } as const;

export interface VdsoFunction {
  /** From the beginning of the vDSO, in bytes. */
  readonly offset: number;
  /** In bytes; 0 where the symbol does not say. */
  readonly size: number;
}

/** Every exported function by its name. @throws ImageError where the bytes are no such object */
export function vdsoFunctions(bytes: Uint8Array): ReadonlyMap<string, VdsoFunction> {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof RangeError) throw new ImageError("the vDSO in the image is damaged");
    throw error;
  }
}

function read(bytes: Uint8Array): ReadonlyMap<string, VdsoFunction> {
  const view = viewOf(bytes);
  const word = (at: number) => view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
  if (view.getUint32(0, true) !== ELF_MAGIC) throw new RangeError("no ELF object");
  let base = 0;
  let dynamic = 0;
  let dynamicSize = 0;
  const { phoff, phentsize, phnum } = elfHeader64.decode(bytes);
  for (let i = 0; i < phnum; i++) {
    const { type, vaddr, offset, filesz } = elfProgram64.decode(bytes, phoff + i * phentsize);
    if (type === PT.LOAD) base = vaddr - offset;
    if (type === PT.DYNAMIC) {
      dynamic = offset;
      dynamicSize = filesz;
    }
  }
  const tags = new Map<number, number>();
  for (let at = dynamic; at < dynamic + dynamicSize; at += 16) tags.set(word(at), word(at + 8) - base);
  const symbols = tags.get(DT.SYMTAB);
  const strings = tags.get(DT.STRTAB);
  if (symbols === undefined || strings === undefined) throw new RangeError("no symbols");
  const out = new Map<string, VdsoFunction>();
  const count = symbolCount(view, tags);
  for (let i = 0; i < count; i++) {
    const at = symbols + i * SYM.entry;
    const type = view.getUint8(at + SYM.info) & 0xf;
    if ((type !== STT.FUNC && type !== STT.NOTYPE) || view.getUint16(at + SYM.shndx, true) === 0) continue;
    const nameAt = strings + view.getUint32(at + SYM.name, true);
    const end = bytes.indexOf(0, nameAt);
    if (end < 0) throw new RangeError("a name has no end");
    const name = String.fromCharCode(...bytes.subarray(nameAt, end));
    const offset = word(at + SYM.value) - base;
    if (name !== "" && offset >= 0 && offset < bytes.length)
      out.set(name, { offset, size: word(at + SYM.size) });
  }
  return out;
}

/** How many symbols there are, as the hash tables know: the dynamic section does not say. */
function symbolCount(view: DataView, tags: ReadonlyMap<number, number>): number {
  const hash = tags.get(DT.HASH);
  if (hash !== undefined) return view.getUint32(hash + 4, true);
  const gnu = tags.get(DT.GNU_HASH);
  if (gnu === undefined) throw new RangeError("no hash table");
  const buckets = view.getUint32(gnu, true);
  const firstHashed = view.getUint32(gnu + 4, true);
  const bloomWords = view.getUint32(gnu + 8, true);
  const bucketsAt = gnu + 16 + bloomWords * 8;
  const chainsAt = bucketsAt + buckets * 4;
  let last = 0;
  for (let i = 0; i < buckets; i++) last = Math.max(last, view.getUint32(bucketsAt + i * 4, true));
  if (last < firstHashed) return firstHashed;
  // The last entry of a chain has its lowest bit set.
  while ((view.getUint32(chainsAt + (last - firstHashed) * 4, true) & 1) === 0) last++;
  return last + 1;
}
