/**
 * The vDSO: code that the kernel gives to every process, with data pages ([vvar]) in front of it.
 *
 * Under the kernel that the image was made with, the same vDSO is mapped at the same place.
 */
import { ImageError } from "../images/error.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import { ARCH_MAP_VDSO_64 } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { readMaps } from "../linux/proc.ts";
import { MemoryError, type Range, rangeText } from "./errors.ts";
import type { Steps } from "./steps.ts";
import { isVdso, type Vma } from "./vma.ts";

/** Where data and code lie, together, data first; undefined where a process has none. @throws ImageError */
export function vdsoPlace(pid: number, vmas: readonly Vma[]): Range | undefined {
  const parts = vmas.filter(isVdso);
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined) return undefined;
  parts.forEach((part, i) => {
    const next = parts[i + 1];
    if (next !== undefined && next.start !== part.end) {
      throw new ImageError(`the vDSO is in pieces, at ${rangeText(part)} and ${rangeText(next)}`, {
        file: fileName(IMAGES.mm, pid),
      });
    }
  });
  return { start: first.start, end: last.end };
}

let ours: Range | undefined;

function ourPlace(): Range {
  if (ours === undefined) {
    const parts = readMaps(process.pid).filter(({ path }) => path === "[vdso]" || path.startsWith("[vvar"));
    ours = { start: parts[0]?.start ?? 0, end: parts.at(-1)?.end ?? 0 };
  }
  return ours;
}

/** Maps the kernel's vDSO, of which the process has none now. */
export function mapVdso(steps: Steps, pid: number, place: Range): void {
  const { start, end } = ourPlace();
  if (place.end - place.start !== end - start)
    throw new MemoryError(pid, `mapping ${rangeText(place)}: the vDSO of this kernel has another size`);
  steps.must(`the vDSO ${rangeText(place)}`, NR.arch_prctl, ARCH_MAP_VDSO_64, place.start);
}
