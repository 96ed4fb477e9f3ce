/** What the images say of the memory of a process that is restored: its mappings, by what they ask for, and its marks. */

import { ImageError } from "../images/error.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import type { MmEntry } from "../images/schema/generated/memory.ts";
import { MAP, TASK_SIZE } from "../linux/memory.ts";
import { prctlMmMap } from "../linux/mman.ts";
import type { NsPid } from "../linux/pid.ts";
import type { Pagemap } from "./pages.ts";
import type { VdsoPlan } from "./vdso.ts";
import { checkVmas, has, isPrivate, isVdso, STATUS, type Vma } from "./vma.ts";

/** One process' memory, as its images say. */
export interface MemoryPlan {
  /** In the images. */
  readonly pid: NsPid;
  readonly mm: MmEntry;
  readonly vmas: readonly Vma[];
  readonly guards: readonly Vma[];
  readonly layout: Layout;
  readonly pages: Pagemap;
  readonly vdso: VdsoPlan | undefined;
  /** Protection that each mapping has now; undefined: it is not mapped yet. */
  readonly now: (number | undefined)[];
  /** The mapping that is made in the place of our area, where there is one. */
  last: Vma | undefined;
}

/** The mappings of an image, and which of them ask for what. */
export interface Layout {
  readonly vmas: readonly Vma[];
  readonly guards: readonly Vma[];
  /** Indexes of those whose content is the process' own. */
  readonly private: readonly number[];
  readonly anonShared: readonly Vma[];
  /** Shared ones, System V segments and the rest. */
  readonly segments: readonly Vma[];
  readonly shared: readonly Vma[];
  /** With a name or advice; locked; sealed. */
  readonly marked: readonly Vma[];
  readonly locked: readonly Vma[];
  readonly sealed: readonly Vma[];
  /** The auxiliary vector, and struct prctl_mm_map without it and without the executable. */
  readonly auxv: Uint8Array;
  readonly marks: Uint8Array;
}

/** @throws ImageError */
export function layoutOf(pid: NsPid, mm: MmEntry): Layout {
  const { vmas, guards } = checkVmas(pid, mm.vmas);
  const auxv = new Uint8Array(new BigUint64Array([...mm.mm_saved_auxv, ...mm.mm_saved_auxv_rest]).buffer);
  const marks = prctlMmMap.encode({
    start_code: mark(pid, mm.mm_start_code),
    end_code: mark(pid, mm.mm_end_code),
    start_data: mark(pid, mm.mm_start_data),
    end_data: mark(pid, mm.mm_end_data),
    start_brk: mark(pid, mm.mm_start_brk),
    brk: mark(pid, mm.mm_brk),
    start_stack: mark(pid, mm.mm_start_stack),
    arg_start: mark(pid, mm.mm_arg_start),
    arg_end: mark(pid, mm.mm_arg_end),
    env_start: mark(pid, mm.mm_env_start),
    env_end: mark(pid, mm.mm_env_end),
    auxv_size: auxv.length,
  });
  const layout = {
    vmas,
    guards,
    private: [] as number[],
    anonShared: [] as Vma[],
    segments: [] as Vma[],
    shared: [] as Vma[],
    marked: [] as Vma[],
    locked: [] as Vma[],
    sealed: [] as Vma[],
    auxv,
    marks,
  };
  vmas.forEach((vma, i) => {
    if (has(vma, STATUS.ANON_SHARED)) layout.anonShared.push(vma);
    if (has(vma, STATUS.SYSVIPC)) layout.segments.push(vma);
    else if (isPrivate(vma)) layout.private.push(i);
    else layout.shared.push(vma);
    if ((vma.flags & MAP.LOCKED) !== 0) layout.locked.push(vma);
    if (isVdso(vma)) return;
    if (vma.name !== undefined || vma.advice.length > 0 || vma.policy !== undefined) layout.marked.push(vma);
    if (vma.sealed) layout.sealed.push(vma);
  });
  return layout;
}

/** A mark of the address space as a number. @throws ImageError */
function mark(pid: NsPid, value: bigint): number {
  if (value < 0n || value > BigInt(TASK_SIZE)) {
    throw new ImageError(`0x${value.toString(16)} is no address`, { file: fileName(IMAGES.mm, pid) });
  }
  return Number(value);
}
