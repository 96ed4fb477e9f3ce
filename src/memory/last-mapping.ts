/**
 * A mapping that is made last, where an address space, or the number of its mappings, leaves our area no place: one without
 * content, in the midst of which the area stands until it goes.
 */

import { readPiece } from "../linux/io.ts";
import { MAP, PROT } from "../linux/memory.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { Span } from "../tracee/table/area.ts";
import type { Range } from "./errors.ts";
import type { Pagemap } from "./pages.ts";
import { has, isHuge, isVdso, STATUS, type Vma } from "./vma.ts";

/** What a process is to have mapped. */
export interface AddressSpace {
  readonly vmas: readonly Vma[];
  readonly guards: readonly Range[];
  readonly pages: Pick<Pagemap, "vaddr" | "bytes">;
}

/** Our area, the kernel's own mappings, and one that is split while something in it changes. */
const SPARE = 8;
const mostMappings = oncePerRun(() => Number(readPiece("/proc/sys/vm/max_map_count")));

/** Whether there are so many mappings that our area would be one too much. */
export function isFull(mappings: number): boolean {
  return mappings + SPARE > mostMappings();
}

/** Of anonymous memory as it is mapped, without more ado. */
function isBare({ flags, status, prot, name, advice, sealed, policy }: Vma): boolean {
  const special = MAP.GROWSDOWN | MAP.LOCKED | MAP.HUGETLB;
  const plain = has({ status }, STATUS.ANON_PRIVATE) && !isVdso({ status }) && !isHuge({ flags });
  const both = PROT.WRITE | PROT.EXEC;
  return (
    plain &&
    (flags & special) === 0 &&
    (prot & both) !== both &&
    name === undefined &&
    policy === undefined &&
    advice.length === 0 &&
    !sealed
  );
}

function overlaps(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}

function hasContent({ guards, pages }: AddressSpace, vma: Range): boolean {
  if (guards.some((guard) => overlaps(guard, vma))) return true;
  return pages.vaddr.some((start, i) => overlaps({ start, end: start + (pages.bytes[i] ?? 0) }, vma));
}

/** The mapping of a process in which a place lies; undefined where that is free; null where there is another one. */
function around(space: AddressSpace, place: Range): Vma | undefined | null {
  const there = space.vmas.filter((vma) => overlaps(vma, place));
  const [vma] = there;
  if (vma === undefined) return undefined;
  const whole = there.length === 1 && vma.start <= place.start && vma.end >= place.end;
  return whole && isBare(vma) && !hasContent(space, vma) ? vma : null;
}

/**
 * A place of so many bytes, at a multiple of `align`, that in each of the address spaces is free or within a mapping that can be
 * made last, and touches none of `others`. With it, the mapping of each. Undefined where there is none.
 */
export function placeWithin<T extends AddressSpace>(
  spaces: readonly T[],
  others: readonly Span[],
  size: number,
  align: number,
): { address: number; mappings: Map<T, Vma> } | undefined {
  for (const space of spaces) {
    for (const vma of space.vmas) {
      if (!isBare(vma) || hasContent(space, vma)) continue;
      for (const address of placesIn(vma, others, size, align)) {
        const place = { start: address, end: address + size };
        const found = spaces.map((each) => around(each, place));
        if (found.includes(null)) continue;
        const mappings = new Map<T, Vma>();
        spaces.forEach((each, i) => {
          const inside = found[i];
          if (inside !== undefined && inside !== null) mappings.set(each, inside);
        });
        return { address, mappings };
      }
    }
  }
  return undefined;
}

/** The first place in a mapping, and those behind each of the others that lie in it. */
function placesIn(vma: Range, others: readonly Span[], size: number, align: number): number[] {
  const starts = [vma.start, ...others.filter((other) => overlaps(other, vma)).map(({ end }) => end)];
  return starts
    .map((start) => Math.ceil(start / align) * align)
    .filter((start) => start >= vma.start && start + size <= vma.end)
    .filter((start) => !others.some((other) => overlaps(other, { start, end: start + size })));
}
