/** Memory that is locked as it is touched: mlock2(2) with MLOCK_ONFAULT, and how /proc/PID/smaps tells of it. */
import { MAP, PAGE_SIZE, PROT } from "./memory.ts";
import { MLOCK_ONFAULT } from "./mman.ts";
import { NR } from "./nr.ts";
import { oncePerRun } from "./once-per-run.ts";
import { ourPid } from "./ourselves.ts";
import { readSmaps } from "./proc.ts";
import { rawSyscall } from "./syscall.ts";

/** What smaps shows for a flag that it has no name for. */
const NAMELESS = "??";

/** Whether this kernel has no name for the flag (6.1 has none), tried with a page of ours. */
const isNameless = oncePerRun(() => {
  const page = rawSyscall(NR.mmap, 0, PAGE_SIZE, PROT.READ, MAP.PRIVATE | MAP.ANONYMOUS, -1, 0);
  if (page < 0) return false;
  try {
    if (rawSyscall(NR.mlock2, page, PAGE_SIZE, MLOCK_ONFAULT) < 0) return false;
    const shown = readSmaps(ourPid()).find(({ start }) => start === page)?.flags;
    return shown?.has("lo") === true && shown.has(NAMELESS);
  } finally {
    rawSyscall(NR.munmap, page, PAGE_SIZE);
  }
});

/** Whether a mapping with these VmFlags is locked as it is touched. */
export function isLockedOnFault(flags: ReadonlySet<string>): boolean {
  if (!flags.has("lo")) return false;
  return flags.has("lf") || (flags.has(NAMELESS) && isNameless());
}
