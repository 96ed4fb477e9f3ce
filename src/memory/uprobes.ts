/**
 * Uprobes: the kernel puts a breakpoint over an instruction in a private copy of a page of code, and a mapping of its own into
 * the process that hits it. Neither is the process' own: when the file is mapped again the kernel does so again, where the probe still
 * is. With the copy a process would run into a breakpoint that the kernel knows nothing of.
 */
import { O, openIfThere, read, withFd } from "../linux/io.ts";
import { isZero, PAGE_SIZE, readMemory } from "../linux/memory.ts";
import type { HostPid } from "../linux/pid.ts";
import type { Mapping } from "../linux/proc.ts";

/** int3, which every probe of x86-64 is. */
const BREAKPOINT = 0xcc;

/** Whether it is the mapping that the kernel puts into a process with probes. */
export function isOfUprobes({ path }: Mapping): boolean {
  return path === "[uprobes]";
}

/** Whether pages of a mapping may differ from its file for a probe alone. */
export function mayBeProbed({ path, exec, write, shared }: Mapping): boolean {
  return path.startsWith("/") && exec && !write && !shared;
}

/** Of the pages from `start` to `end`, which a process has copied, those that differ from the file by breakpoints alone. */
export function probedPages(pid: HostPid, mapping: Mapping, start: number, end: number): number[] {
  const name = `${mapping.start.toString(16)}-${mapping.end.toString(16)}`;
  const fd = openIfThere(`/proc/${pid}/map_files/${name}`, O.RDONLY);
  if (fd === undefined) return [];
  return withFd(fd, () => {
    const found: number[] = [];
    const own = new Uint8Array(PAGE_SIZE);
    const file = new Uint8Array(PAGE_SIZE);
    for (let address = start; address < end; address += PAGE_SIZE) {
      readMemory(pid, address, own);
      file.fill(0);
      read(fd, file, mapping.offset + address - mapping.start);
      if (differsByBreakpoints(own, file)) found.push(address);
    }
    return found;
  });
}

function differsByBreakpoints(own: Uint8Array, file: Uint8Array): boolean {
  if (isZero(file)) return false;
  for (let i = 0; i < own.length; i++) if (own[i] !== file[i] && own[i] !== BREAKPOINT) return false;
  return true;
}
