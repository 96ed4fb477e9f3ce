/** ELF files (include/uapi/linux/elf.h, elf.h), as far as they are needed. */
import { array, struct, u8, u16, u32, word } from "./struct.ts";

export const ELF_MAGIC = 0x464c457f;
export const ELF_CLASS = { BITS_32: 1, BITS_64: 2 } as const;
/** Little-endian, version 1. */
export const ELF_IDENT_REST = [1, 1];
export const ET_EXEC = 2;
export const EM_X86_64 = 62;
export const PT = { LOAD: 1, DYNAMIC: 2, INTERP: 3, NOTE: 4, GNU_STACK: 0x6474_e551 } as const;
export const PF = { X: 1, W: 2, R: 4 } as const;

/** e_ident. */
export const elfIdent = struct({ magic: u32, class: u8, rest: array(u8, 11) });

export const elfHeader64 = struct({ ident: elfIdent, type: u16, machine: u16, version: u32, entry: word, phoff: word,
  shoff: word, flags: u32, ehsize: u16, phentsize: u16, phnum: u16, shentsize: u16, shnum: u16, shstrndx: u16 }); // biome-ignore format: one structure

export const elfHeader32 = struct({ ident: elfIdent, type: u16, machine: u16, version: u32, entry: u32, phoff: u32,
  shoff: u32, flags: u32, ehsize: u16, phentsize: u16, phnum: u16, shentsize: u16, shnum: u16, shstrndx: u16 }); // biome-ignore format: one structure

export const elfProgram64 = struct({ type: u32, flags: u32, offset: word, vaddr: word, paddr: word, filesz: word,
  memsz: word, align: word }); // biome-ignore format: one structure

export const elfProgram32 = struct({ type: u32, offset: u32, vaddr: u32, paddr: u32, filesz: u32, memsz: u32,
  flags: u32, align: u32 }); // biome-ignore format: one structure
