/**
 * What a child has of its parent's memory: pages whose content is equal in both images stay shared, copy-on-write.
 *
 * At its birth a child has all of its parent's private mappings as the parent's image has them. Where both images
 * have the same mapping, their pages are compared: equal ones stay, others are read in, and those that only the parent
 * has are dropped.
 */
import { ImageError } from "../images/error.ts";
import { read } from "../linux/io.ts";
import { MAP, PAGE_SIZE } from "../linux/memory.ts";
import type { Pagemap } from "./pages.ts";
import { has, isHuge, isPrivate, isVdso, STATUS, type Vma } from "./vma.ts";

/** Whether the mapping of a child can be the one that it was born with. */
function sameMapping(child: Vma, parent: Vma): boolean {
  return (
    child.start === parent.start &&
    child.end === parent.end &&
    isPrivate(child) &&
    isPrivate(parent) &&
    !isVdso(child) &&
    !isHuge(child) &&
    ((child.flags ^ parent.flags) & ~MAP.LOCKED) === 0 &&
    samePolicy(child.policy, parent.policy) &&
    ((child.status ^ parent.status) & (STATUS.FILE_PRIVATE | STATUS.ANON_PRIVATE)) === 0 &&
    (!has(child, STATUS.FILE_PRIVATE) || (child.object === parent.object && child.pgoff === parent.pgoff))
  );
}

function samePolicy(one: Vma["policy"], other: Vma["policy"]): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.mode === other.mode && Buffer.compare(one.nodes, other.nodes) === 0;
}

/** For each mapping of a child the index of the parent's that it was born with and keeps; both lists ascend. */
export function matchMappings(child: readonly Vma[], parent: readonly Vma[]): (number | undefined)[] {
  let at = 0;
  return child.map((vma) => {
    while ((parent[at]?.start ?? Number.POSITIVE_INFINITY) < vma.start) at++;
    const candidate = parent[at];
    return candidate !== undefined && sameMapping(vma, candidate) ? at : undefined;
  });
}

/** Of a parent so much is kept, so that it is read once for many children. */
const PARENT_WINDOW = 4 << 20;
/** Of a child little enough that it is still in the processor's cache when it is compared. */
const CHILD_WINDOW = 128 << 10;

/** A piece of a pages file in memory. */
class Window {
  readonly bytes: Buffer;
  #map: Pagemap | undefined;
  #start = 0;
  #length = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Makes bytes at `offset` available; gives where they stand in `bytes`. At least one page is there. */
  at(map: Pagemap, offset: number): number {
    if (map !== this.#map || offset < this.#start || offset + PAGE_SIZE > this.#start + this.#length) {
      this.#map = undefined;
      const length = read(map.fd, this.bytes, offset);
      if (length < PAGE_SIZE) throw new ImageError("the file is cut short", { file: map.file });
      this.#map = map;
      this.#start = offset;
      this.#length = length - (length % PAGE_SIZE);
    }
    return offset - this.#start;
  }

  /** How many bytes are there from position `at` on. */
  left(at: number): number {
    return this.#length - at;
  }
}

let windows: { child: Window; parent: Window } | undefined;

/** Ends the memory of what was read: descriptors and files may change from here on. */
export function forgetWindows(): void {
  windows = undefined;
}

export interface Difference {
  /** Bytes at `address` are to be read from `offset` of the child's pages file. */
  read(address: number, length: number, offset: number): void;
  /** Pages that the child does not have. */
  drop(address: number, length: number): void;
  /** Counts of pages that were compared, and of those found equal. */
  compared(pages: number, equal: number): void;
}

/** Where in a pagemap's runs one mapping begins; both images are walked in the order of addresses. */
export interface Cursor {
  readonly map: Pagemap;
  next: number;
}

/** Compares one mapping of a child with its parent's. @throws KernelError, ImageError */
export function compareMapping(vma: Vma, child: Cursor, parent: Cursor, out: Difference): void {
  const { map: childMap } = child;
  const { map: parentMap } = parent;
  const endOf = ({ map, next }: Cursor) => (map.vaddr[next] ?? 0) + (map.bytes[next] ?? 0);
  const startOf = ({ map, next }: Cursor) => map.vaddr[next] ?? Number.POSITIVE_INFINITY;
  for (let at = vma.start; at < vma.end; ) {
    while (child.next < childMap.vaddr.length && endOf(child) <= at) child.next++;
    while (parent.next < parentMap.vaddr.length && endOf(parent) <= at) parent.next++;
    const childStart = Math.max(startOf(child), at);
    const parentStart = Math.max(startOf(parent), at);
    const first = Math.min(childStart, parentStart);
    if (first >= vma.end) break;
    if (first > at) {
      at = first;
      continue;
    }
    const inChild = childStart === at;
    const inParent = parentStart === at;
    const end = Math.min(
      vma.end,
      inChild ? endOf(child) : childStart,
      inParent ? endOf(parent) : parentStart,
    );
    const childOffset = at - startOf(child) + (childMap.offset[child.next] ?? 0);
    const parentOffset = at - startOf(parent) + (parentMap.offset[parent.next] ?? 0);
    if (!inParent) out.read(at, end - at, childOffset);
    else if (!inChild) out.drop(at, end - at);
    else compareRange(at, end - at, childMap, childOffset, parentMap, parentOffset, out);
    at = end;
  }
}

function compareRange(
  address: number,
  length: number,
  childMap: Pagemap,
  childOffset: number,
  parentMap: Pagemap,
  parentOffset: number,
  out: Difference,
): void {
  windows ??= { child: new Window(CHILD_WINDOW), parent: new Window(PARENT_WINDOW) };
  const { child, parent } = windows;
  let equal = 0;
  for (let done = 0; done < length; ) {
    const c = child.at(childMap, childOffset + done);
    const p = parent.at(parentMap, parentOffset + done);
    const piece = Math.min(length - done, child.left(c), parent.left(p));
    if (child.bytes.compare(parent.bytes, p, p + piece, c, c + piece) === 0) {
      equal += piece;
    } else {
      for (let at = 0; at < piece; at += PAGE_SIZE) {
        const from = c + at;
        if (child.bytes.compare(parent.bytes, p + at, p + at + PAGE_SIZE, from, from + PAGE_SIZE) === 0)
          equal += PAGE_SIZE;
        else out.read(address + done + at, PAGE_SIZE, childOffset + done + at);
      }
    }
    done += piece;
  }
  out.compared(length / PAGE_SIZE, equal / PAGE_SIZE);
}
