/**
 * Filling much memory quickly.
 *
 * A fresh page costs a fault, which for a gigabyte of small pages is most of the time. So long runs of pages get huge
 * pages before they are read in: one byte of each is touched from outside, and MADV_COLLAPSE (6.1) makes the rest. It
 * leaves no mark on the mapping, unlike MADV_HUGEPAGE. Where it is refused, small pages are filled one by one.
 */
import { readText } from "../linux/io.ts";
import { MAP } from "../linux/memory.ts";
import { IOV_MAX, iovec, MADV } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import type { Pieces } from "./pieces.ts";
import type { Steps } from "./steps.ts";
import { has, isHuge, STATUS, type Vma } from "./vma.ts";

const HUGE = 2 << 20;
/** A run that is shorter is read as it is. */
const LEAST = 8 << 20;

/** Whether any run is long enough. */
export function worthCollapsing(reads: Pieces): boolean {
  return reads.bytes.some((bytes) => bytes >= LEAST);
}

let allowed: boolean | undefined;

/** An administrator who forbids huge pages everywhere means us too. */
function hugePagesAllowed(): boolean {
  if (allowed === undefined) {
    try {
      allowed = !readText("/sys/kernel/mm/transparent_hugepage/enabled").includes("[never]");
    } catch {
      allowed = false;
    }
  }
  return allowed;
}

function suits(vma: Vma): boolean {
  return has(vma, STATUS.ANON_PRIVATE) && !isHuge(vma) && (vma.flags & MAP.GROWSDOWN) === 0;
}

/**
 * Makes huge pages of the long runs of `reads` that lie in anonymous memory; all their mappings are there, writable.
 */
export function collapse(steps: Steps, vmas: readonly Vma[], reads: Pieces): void {
  if (!hugePagesAllowed()) return;
  let at = 0;
  for (let i = 0; i < reads.length; i++) {
    const address = reads.address[i] ?? 0;
    const bytes = reads.bytes[i] ?? 0;
    if (bytes < LEAST) continue;
    while ((vmas[at]?.end ?? Number.POSITIVE_INFINITY) <= address) at++;
    const vma = vmas[at];
    // A run that goes on in the next mapping is left as it is.
    if (vma === undefined || vma.end < address + bytes || !suits(vma)) continue;
    const start = Math.ceil(address / HUGE) * HUGE;
    const end = address + bytes - ((address + bytes) % HUGE);
    if (end <= start || !touch(steps.restoree.pid, start, end)) continue;
    steps.checked(() => {}, NR.madvise, start, end - start, MADV.COLLAPSE);
  }
}

/** Writes a zero to the first byte of every huge page of a range: the page must exist to be made a huge one. */
function touch(pid: number, start: number, end: number): boolean {
  const most = Math.min(IOV_MAX, (end - start) / HUGE);
  const zeros = new Uint8Array(most);
  const local = iovec.encode({ base: addressOf(zeros), length: most });
  const remote = new Uint8Array(most * iovec.size);
  for (let at = start; at < end; ) {
    const count = Math.min(most, (end - at) / HUGE);
    for (let i = 0; i < count; i++, at += HUGE)
      iovec.encodeInto(remote, i * iovec.size, { base: at, length: 1 });
    iovec.encodeInto(local, 0, { length: count });
    const done = rawSyscall(NR.process_vm_writev, pid, addressOf(local), 1, addressOf(remote), count, 0);
    if (done !== count) return false;
  }
  return true;
}
