/** What kinds of mappings there are, for a person. */
import type { MmEntry, VmaEntry } from "../../images/schema/generated/memory.ts";
import { MAP, PROT } from "../../linux/memory.ts";
import { STATUS } from "../../memory/vma.ts";

/** The kinds, in the order of legends; `key` is that of the colour. */
export const KINDS = [
  { key: "code", name: "Code" },
  { key: "file", name: "Files, private" },
  { key: "file-shared", name: "Files, shared" },
  { key: "heap", name: "Heap" },
  { key: "anon", name: "Anonymous" },
  { key: "stack", name: "Stack" },
  { key: "shared", name: "Shared memory" },
  { key: "kernel", name: "Of the kernel" },
] as const;

export type Kind = (typeof KINDS)[number]["key"];

const OF_KERNEL = STATUS.VSYSCALL | STATUS.VDSO | STATUS.VVAR | STATUS.SOCKET | STATUS.AIORING;

export function kindOf(vma: VmaEntry, mm: MmEntry): Kind {
  const { status } = vma;
  if (status & OF_KERNEL) return "kernel";
  if (isStack(vma, mm)) return "stack";
  if (status & (STATUS.ANON_SHARED | STATUS.SYSVIPC | STATUS.MEMFD)) return "shared";
  if (status & STATUS.FILE_SHARED) return "file-shared";
  if (status & STATUS.FILE_PRIVATE) return (vma.prot & PROT.EXEC) === 0 ? "file" : "code";
  return status & STATUS.HEAP ? "heap" : "anon";
}

function isStack(vma: VmaEntry, mm: MmEntry): boolean {
  if ((vma.status & STATUS.STACK) !== 0 || (vma.flags & MAP.GROWSDOWN) !== 0) return true;
  return (
    vma.start <= mm.mm_start_stack && mm.mm_start_stack < vma.end && (vma.status & STATUS.FILE_PRIVATE) === 0
  );
}

/** Whether it is a mapping, not a note about others (guards come last, as entries of their own). */
export function isMapping(vma: VmaEntry): boolean {
  return (vma.status & STATUS.GUARD) === 0;
}

export function protectionOf({ prot, flags }: VmaEntry): string {
  const letter = (bit: number, text: string) => ((prot & bit) === 0 ? "-" : text);
  return `${letter(PROT.READ, "r")}${letter(PROT.WRITE, "w")}${letter(PROT.EXEC, "x")}${flags & MAP.SHARED ? "s" : "p"}`;
}

/** What it maps; `path` tells the name of a file. */
export function nameOf(vma: VmaEntry, mm: MmEntry, path: (id: number) => string): string {
  const { status } = vma;
  if (status & (STATUS.FILE_PRIVATE | STATUS.FILE_SHARED)) return path(Number(vma.shmid));
  if (status & STATUS.SYSVIPC) return `System V segment ${vma.shmid}`;
  if (status & STATUS.ANON_SHARED) return `shared memory ${vma.shmid}`;
  if (status & STATUS.VDSO) return "[vdso]";
  if (status & STATUS.VVAR) return "[vvar]";
  if (status & STATUS.VSYSCALL) return "[vsyscall]";
  if (status & STATUS.SOCKET) return `ring of packet socket ${vma.shmid}`;
  if (status & STATUS.AIORING) return "ring of io_setup(2)";
  if (vma.anon_name !== undefined) return `[anon:${vma.anon_name}]`;
  if (status & STATUS.HEAP) return "[heap]";
  return isStack(vma, mm) ? "[stack]" : "";
}
