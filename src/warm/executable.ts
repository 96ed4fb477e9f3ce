/**
 * An executable file that is a table of system calls: machine/runner.ts, STARTER.
 *
 *     file     | ELF headers | code | header, tables and what they read | contents, page by page
 *     memory                 | code | header, tables and what they read |
 *
 * Nothing but code and tables is loaded by execve(2). What else there is of the file its own calls map or read.
 */

import {
  ELF_CLASS,
  ELF_IDENT_REST,
  ELF_MAGIC,
  EM_X86_64,
  ET_EXEC,
  elfHeader64,
  elfProgram64,
  PF,
  PT,
} from "../linux/elf.ts";
import { close, O, open, read, rename, unlink, withFd, writeAll } from "../linux/io.ts";
import { HUGE_PAGE_SIZE, PAGE_SIZE, pageUp } from "../linux/memory.ts";
import { CALLER } from "../linux/pid.ts";
import { struct, u32, word } from "../linux/struct.ts";
import { hostMachine } from "../machine/host.ts";
import { CHECK_SIZE, OP, STARTER } from "../machine/runner.ts";
import type { Pointer, Raw } from "../tracee/table/pointer.ts";
import { Stored, Table, type TableExecutor } from "../tracee/table/table.ts";

/** What of the CPU an executable needs: of a leaf of cpuid, register by register, the bits under the masks. */
export interface CpuCheck {
  readonly leaf: number;
  readonly subleaf: number;
  /** eax, ebx, ecx, edx. */
  readonly masks: readonly [number, number, number, number];
  readonly values: readonly [number, number, number, number];
}

/** An entry of the checks, CHECK_SIZE bytes. */
const check = struct({ leaf: u32, subleaf: u32, masks: quad(), values: quad() });
const NO_LEAF = 0xffff_ffff;

function quad() {
  return struct({ eax: u32, ebx: u32, ecx: u32, edx: u32 });
}

function registers([eax, ebx, ecx, edx]: CpuCheck["masks"]) {
  return { eax, ebx, ecx, edx };
}

const HEADER_SIZE = PAGE_SIZE;
const OTHERWISE_SIZE = PAGE_SIZE;
const CODE_AT = PAGE_SIZE;
/**
 * The file is written in pieces of so many bytes: ext4 keeps it in large folios then (Linux 6.16), of which a page fault maps
 * sixteen pages in half the time, or 512 where memory and file begin at the same place of a huge page.
 */
const PIECE = 4 << 20;

/** Lays a table of its own, `size` bytes with its data, among the data of another. Gives its address. */
export function layWithin(outer: Table, size: number, fill: (table: Table) => void): Pointer {
  const at = outer.data(new Uint8Array(size));
  const table = new Table(LAID, { pid: CALLER, address: at.address, size });
  fill(table);
  outer.place(at, bytesOf(table));
  return at;
}

/** Has the call before made again, at most `most` times, while the word at an address is positive. */
export function repeat(table: Table, at: Raw, most: number): void {
  table.operation(OP.REPEAT, at, 0, table.data(wordOf(most)));
}

/** A number as the runner reads it. */
export function wordOf(value: number): Uint8Array {
  const bytes = new Uint8Array(word.size);
  word.write(bytes, 0, value);
  return bytes;
}

function bytesOf({ laid, region }: Table): Uint8Array {
  const bytes = new Uint8Array(region.size);
  bytes.set(laid.entries);
  bytes.set(laid.data, region.size - laid.data.length);
  return bytes;
}

/** Tables here are only laid: a full one cannot be run in between. */
const LAID: TableExecutor = {
  startTable: () => {
    throw new RangeError("the table of an executable is full");
  },
  awaitTable: () => {},
};

export class Executable implements Disposable {
  /** What the program does first. */
  readonly table: Table;
  /** What it does when the CPU is not fit, or a call of the first table that must succeed fails. */
  readonly otherwise: Table;
  /** What it becomes finds this in its memory, behind the checks. */
  readonly notes = new Uint8Array(HEADER_SIZE - STARTER.NOTES);
  readonly #fd: number;
  readonly #checks: CpuCheck[] = [];
  readonly #unfinished: string;
  /** What is not written yet. */
  readonly #piece = new Uint8Array(PIECE);
  #end: number;

  /**
   * Makes a file beside `path`, which becomes it when it is finished. The code lies at `address`, a multiple of the page
   * size below 2 GiB; `tableSize` is what the first table and its data take, in bytes. @throws KernelError
   */
  constructor(
    private readonly path: string,
    readonly address: number,
    tableSize: number,
  ) {
    this.#unfinished = `${path}.unfinished`;
    this.#fd = open(this.#unfinished, O.RDWR | O.CREAT | O.TRUNC, 0o755);
    const otherwise = this.data + HEADER_SIZE;
    this.otherwise = new Table(LAID, { pid: CALLER, address: otherwise, size: OTHERWISE_SIZE });
    this.table = new Table(LAID, {
      pid: CALLER,
      address: otherwise + OTHERWISE_SIZE,
      size: pageUp(tableSize),
    });
    this.#end = CODE_AT + STARTER.DATA + this.#dataSize;
  }

  /** Address of the header. */
  get data(): number {
    return this.address + STARTER.DATA;
  }

  /** Of the header and both tables, in bytes. */
  get #dataSize(): number {
    return HEADER_SIZE + this.otherwise.region.size + this.table.region.size;
  }

  /** The addresses of the words and of the environment that the program was started with, as execve(2) takes them. */
  get startedWith(): { readonly words: Stored; readonly environment: Stored } {
    return { words: new Stored(this.data + STARTER.ARGV), environment: new Stored(this.data + STARTER.ENVP) };
  }

  /** Address of rt_sigreturn, to be gone to with the stack pointer at a frame. */
  get sigreturn(): number {
    return this.address + hostMachine.starter.sigreturn;
  }

  need(needed: CpuCheck): void {
    this.#checks.push(needed);
  }

  /**
   * Adds bytes to the file, to be mapped at an address; gives their offset, whole pages. It is such that huge pages of the file can
   * be mapped, if the bytes have any. @throws KernelError
   */
  add(bytes: Uint8Array, address: number): number {
    if (bytes.length >= HUGE_PAGE_SIZE) this.#alignTo(address);
    const offset = this.#end;
    this.#append(bytes);
    this.#endPage();
    return offset;
  }

  /** Adds a part of another file, or what follows `from`, in the same way; gives its offset and its size. @throws KernelError */
  addFile(
    path: string,
    from: number,
    size: number | undefined,
    address: number,
  ): { readonly offset: number; readonly size: number } {
    this.#alignTo(address);
    const offset = this.#end;
    const piece = new Uint8Array(PIECE);
    withFd(open(path, O.RDONLY), (fd) => {
      for (let left = size ?? Number.MAX_SAFE_INTEGER; left > 0; ) {
        const got = read(fd, piece.subarray(0, Math.min(left, PIECE)), from + this.#end - offset);
        if (got === 0) break;
        this.#append(piece.subarray(0, got));
        left -= got;
      }
    });
    const added = this.#end - offset;
    this.#endPage();
    return { offset, size: added };
  }

  #alignTo(address: number): void {
    const past = (this.#end - address) % HUGE_PAGE_SIZE;
    this.#append(new Uint8Array((HUGE_PAGE_SIZE - past) % HUGE_PAGE_SIZE));
  }

  #append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = this.#end % PIECE;
      const part = bytes.subarray(done, done + PIECE - at);
      this.#piece.set(part, at);
      done += part.length;
      this.#end += part.length;
      if (this.#end % PIECE === 0) this.#writePiece(PIECE);
    }
  }

  #endPage(): void {
    this.#append(new Uint8Array(pageUp(this.#end) - this.#end));
  }

  /** Writes the last piece, of `length` bytes. */
  #writePiece(length: number): void {
    writeAll(this.#fd, this.#piece.subarray(0, length), this.#end - length);
    this.#piece.fill(0);
  }

  /** Writes headers, code and tables, and puts the file in its place. @throws KernelError */
  finish(): void {
    this.#writePiece(this.#end % PIECE);
    writeAll(this.#fd, this.#headers(), 0);
    writeAll(this.#fd, hostMachine.starter.code, CODE_AT);
    const data = new Uint8Array(this.#dataSize);
    data.set(this.notes, STARTER.NOTES);
    word.write(data, STARTER.TABLE, this.table.region.address);
    word.write(data, STARTER.OTHERWISE, this.otherwise.region.address);
    this.#checks.forEach(({ leaf, subleaf, masks, values }, i) => {
      check.encodeInto(data, STARTER.CHECKS + i * CHECK_SIZE, {
        leaf,
        subleaf,
        masks: registers(masks),
        values: registers(values),
      });
    });
    check.encodeInto(data, STARTER.CHECKS + this.#checks.length * CHECK_SIZE, { leaf: NO_LEAF });
    for (const table of [this.otherwise, this.table])
      data.set(bytesOf(table), table.region.address - this.data);
    writeAll(this.#fd, data, CODE_AT + STARTER.DATA);
    rename(this.#unfinished, this.path);
  }

  #headers(): Uint8Array {
    const bytes = new Uint8Array(PAGE_SIZE);
    const programs = [
      { type: PT.LOAD, flags: PF.R | PF.X, offset: CODE_AT, vaddr: this.address, filesz: STARTER.DATA },
      {
        type: PT.LOAD,
        flags: PF.R | PF.W,
        offset: CODE_AT + STARTER.DATA,
        vaddr: this.data,
        filesz: this.#dataSize,
      },
      { type: PT.GNU_STACK, flags: PF.R | PF.W, offset: 0, vaddr: 0, filesz: 0 },
    ];
    elfHeader64.encodeInto(bytes, 0, {
      ident: { magic: ELF_MAGIC, class: ELF_CLASS.BITS_64, rest: ELF_IDENT_REST },
      type: ET_EXEC,
      machine: EM_X86_64,
      version: 1,
      entry: this.address,
      phoff: elfHeader64.size,
      ehsize: elfHeader64.size,
      phentsize: elfProgram64.size,
      phnum: programs.length,
    });
    programs.forEach((program, i) => {
      elfProgram64.encodeInto(bytes, elfHeader64.size + i * elfProgram64.size, {
        ...program,
        paddr: program.vaddr,
        memsz: program.filesz,
        align: PAGE_SIZE,
      });
    });
    return bytes;
  }

  /** Removes what was not finished. */
  [Symbol.dispose](): void {
    close(this.#fd);
    unlink(this.#unfinished);
  }
}
