/**
 * What a child has of its parent's memory: pages whose content is equal in both images stay shared, copy-on-write.
 *
 * At its birth a child has all of its parent's private mappings as the parent's image has them. Where both images
 * have the same mapping, their pages are compared: equal ones stay, others are read in, and those that only the parent
 * has are dropped.
 */
import { MAP, PAGE_SIZE } from "../linux/memory.ts";
import { compareRange } from "./compare-pages.ts";
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

export interface Difference {
  /** Bytes at `address` are to be read from `offset` of the child's pagemap. */
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
    else {
      let equal = 0;
      compareRange(
        { bytes: childMap, offset: childOffset },
        { bytes: parentMap, offset: parentOffset },
        end - at,
        (offset, length, isEqual) => {
          if (isEqual) equal += length;
          else out.read(at + offset, length, childOffset + offset);
        },
      );
      out.compared((end - at) / PAGE_SIZE, equal / PAGE_SIZE);
    }
    at = end;
  }
}
