/**
 * The door to the kernel: one raw system call, made through a thunk of machine code.
 *
 * Results are the kernel's own (-errno on failure), never libc's errno variable: Bun's own threads may touch that.
 * Arguments and results are plain numbers; every user-space address and file offset fits in the 53 bits of one.
 */

import { hostMachine } from "../machine/host.ts";
import { alignUp } from "./align.ts";
import { ERRNO, KernelError, nameOf } from "./errno.ts";
import { NR } from "./nr.ts";
import { textToBytes, writeText } from "./text.ts";

type Thunk = (nr: number, a1: number, a2: number, a3: number, a4: number, a5: number, a6: number) => number;

/** An argument or a result: 64 bits as a number where they fit in one. */
const WORD = "i64_fast";

interface Signature {
  readonly args: readonly string[];
  readonly returns: string;
  readonly ptr?: number;
}

/** The functions named in the signatures; they give an Error rather than throw it. */
type Linked = { readonly symbols: Readonly<Record<string, (...args: number[]) => number>> } | Error;

/**
 * What the module `bun:ffi` stands on. That module itself takes a start 0.3 ms, and puts a function of JavaScript before
 * each address taken.
 */
interface Natives {
  dlopen(library: string, symbols: Readonly<Record<string, Signature>>): Linked;
  linkSymbols(symbols: Readonly<Record<string, Signature>>): Linked;
  ptr(buffer: Uint8Array): number;
  toArrayBuffer(address: number, offset: number, length: number): ArrayBuffer;
}
const natives = (Bun as unknown as { readonly FFI: Natives }).FFI;

function symbolOf(linked: Linked, name: string): (...args: number[]) => number {
  if (linked instanceof Error) throw linked;
  const symbol = linked.symbols[name];
  if (symbol === undefined) throw new Error(`no function ${name}`);
  return symbol;
}

const PAGE = 4096;
const PROT_RWX = 7;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** Address of a page of our own that holds machine code; see {@link placeCode}. */
const codePage = mapCodePage();
/** Where our machine code is. */
export const codeAddress = codePage.address;
const thunkCode = hostMachine.syscallThunk;
codePage.bytes.set(thunkCode, 0);
let codeUsed = alignUp(thunkCode.length, 16);

const thunk: Thunk = nativeFunction(codePage.address);

function mapCodePage(): { address: number; bytes: Uint8Array } {
  const signature = { args: [WORD, WORD, WORD, WORD, WORD, WORD], returns: WORD };
  const mmap = symbolOf(natives.dlopen("libc.so.6", { mmap: signature }), "mmap");
  const address = mmap(0, PAGE, PROT_RWX, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (address <= 0) throw new KernelError("mmap", "of a page for machine code", ERRNO.ENOMEM);
  return { address, bytes: memoryAt(address, PAGE) };
}

/** A view of our own memory at `address`; valid as long as the memory stays mapped, which the caller ensures. */
export function memoryAt(address: number, length: number): Uint8Array {
  return new Uint8Array(natives.toArrayBuffer(address, 0, length));
}

/** Copies machine code into our code page for good and returns its address. The page holds 4096 bytes in all. */
export function placeCode(code: Uint8Array): number {
  if (codeUsed + code.length > codePage.bytes.length) throw new RangeError("the code page is full");
  codePage.bytes.set(code, codeUsed);
  const address = codePage.address + codeUsed;
  codeUsed += alignUp(code.length, 16);
  return address;
}

/** Makes a native function of seven word arguments out of code at `address`. */
export function nativeFunction(address: number): Thunk {
  const args = [WORD, WORD, WORD, WORD, WORD, WORD, WORD];
  return symbolOf(natives.linkSymbols({ code: { ptr: address, args, returns: WORD } }), "code");
}

/** Address of a buffer's bytes. The buffer must stay referenced while the kernel may use the address. */
export function addressOf(buffer: Uint8Array): number {
  // There is no address of an empty buffer to be had; the kernel never reads one.
  if (buffer.length === 0) return 0;
  // The bytes of a small array move when its ArrayBuffer is first asked for (JSC makes it then): ask before.
  void buffer.buffer;
  return natives.ptr(buffer);
}

/** One system call; returns the kernel's raw result, negative errno on failure. */
export function rawSyscall(nr: number, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0, a6 = 0): number {
  return thunk(nr, a1, a2, a3, a4, a5, a6);
}

/** The name of a system call by its number, for messages. */
export function callName(nr: number): string {
  return nameOf(NR, nr) ?? `syscall ${nr}`;
}

/** Turns a raw result into a value, or throws {@link KernelError} naming the call and the object. */
export function checkResult(result: number, nr: number, object: string): number {
  if (result < 0 && result > -4096) throw new KernelError(callName(nr), object, -result);
  return result;
}

/**
 * One system call that must succeed. `object` names what it works on and is made only when the call fails.
 * @throws KernelError
 */
export function syscall(
  object: string | (() => string),
  nr: number,
  a1 = 0,
  a2 = 0,
  a3 = 0,
  a4 = 0,
  a5 = 0,
  a6 = 0,
): number {
  const result = thunk(nr, a1, a2, a3, a4, a5, a6);
  if (result < 0 && result > -4096) {
    throw new KernelError(callName(nr), typeof object === "string" ? object : object(), -result);
  }
  return result;
}

/** Bytes for a name; nearly all are far shorter. */
const NAME_SPACE = 2048;
const names = new Uint8Array(2 * NAME_SPACE);
const namesAddress = addressOf(names);
/** What was too long for its space, as long as the kernel may look at it. */
const longNames: Uint8Array[] = [];

/**
 * Address of a NUL-terminated copy of a path or a name, for the next call only: the memory is used again. A call that
 * takes two names has the second in space 1.
 */
export function nameAddress(text: string, space: 0 | 1 = 0): number {
  if (text.length * 3 >= NAME_SPACE) {
    longNames[space] = cString(text);
    return addressOf(longNames[space]);
  }
  const start = space * NAME_SPACE;
  names[writeText(names, start, text)] = 0;
  return namesAddress + start;
}

/** PATH_MAX of include/uapi/linux/limits.h, its NUL included. */
const PATH_MAX = 4096;

/** As nameAddress, of a path that may be anything, as it stood in an image. @throws KernelError */
export function pathAddress(path: string, space: 0 | 1 = 0): number {
  if (path.length >= PATH_MAX) throw new KernelError("path", "", ERRNO.ENAMETOOLONG);
  if (path.includes("\0")) throw new KernelError("path", "", ERRNO.EINVAL);
  return nameAddress(path, space);
}

/** A NUL-terminated copy of `text`, as the kernel takes paths and names: bytes, of which none is lost (text.ts). */
export function cString(text: string): Uint8Array {
  const encoded = textToBytes(text);
  const out = new Uint8Array(encoded.length + 1);
  out.set(encoded);
  return out;
}
