/** The marks of an address space (mm-PID.img): where code, data, heap and arguments lie, and what was asked for all of it. */

import { Repeated } from "../images/repeated.ts";
import type { MmEntry, VmaEntry } from "../images/schema/generated/memory.ts";
import { readFileBytes } from "../linux/io.ts";
import { MCL } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { PR } from "../linux/prctl.ts";
import { viewOf } from "../linux/struct.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import type { Result, Table } from "../tracee/table/table.ts";
import { isRing, ringEntry } from "./aio.ts";
import { USUAL_COREDUMP_FILTER } from "./coredump-filter.ts";

/** What a process told of its memory. */
export interface MmAnswers {
  readonly brk: Result;
  readonly dumpable: Result;
  readonly thpDisabled: Result;
  readonly mdwe: Result;
  readonly merge: Result;
}

/** Adds to a table what a process alone can tell of its memory. */
export function askMm(table: Table): MmAnswers {
  return {
    brk: table.must("its break", NR.brk, 0),
    dumpable: table.must("its dumpable flag", NR.prctl, PR.GET_DUMPABLE, 0, 0, 0, 0),
    thpDisabled: table.call(NR.prctl, PR.GET_THP_DISABLE, 0, 0, 0, 0),
    mdwe: table.call(NR.prctl, PR.GET_MDWE, 0, 0, 0, 0),
    merge: table.call(NR.prctl, PR.GET_MEMORY_MERGE, 0, 0, 0, 0),
  };
}

/** The entry of a process with these mappings, whose executable is file `exe_file_id` of files.img. @throws KernelError */
export function mmEntry(
  dumpee: Dumpee,
  vmas: VmaEntry[],
  exe_file_id: number,
  { brk, dumpable, thpDisabled, mdwe, merge }: MmAnswers,
): MmEntry {
  const { pid, proc } = dumpee;
  const { stat } = proc;
  const auxv = readAuxv(pid);
  return {
    mm_start_code: BigInt(stat.startCode),
    mm_end_code: BigInt(stat.endCode),
    mm_start_data: BigInt(stat.startData),
    mm_end_data: BigInt(stat.endData),
    mm_start_stack: BigInt(stat.startStack),
    mm_start_brk: BigInt(stat.startBrk),
    mm_brk: BigInt(brk.value),
    mm_arg_start: BigInt(stat.argStart),
    mm_arg_end: BigInt(stat.argEnd),
    mm_env_start: BigInt(stat.envStart),
    mm_env_end: BigInt(stat.envEnd),
    exe_file_id,
    mm_saved_auxv: auxv.slice(0, AUXV_WORDS),
    mm_saved_auxv_rest: auxv.slice(AUXV_WORDS),
    vmas,
    dumpable: dumpable.value,
    aios: dumpee.mappings.filter(isRing).map((mapping) => ringEntry(pid, mapping)),
    thp_disabled: !thpDisabled.failed && thpDisabled.raw !== 0,
    lock_future: lockedInFuture(dumpee),
    mdwe: mdwe.raw > 0 ? mdwe.raw : undefined,
    memory_merge: merge.raw === 1 ? true : undefined,
    // GET_THP_DISABLE gives 1 and the flags.
    thp_disable_flags: thpDisabled.raw > 1 ? thpDisabled.raw & ~1 : undefined,
    coredump_filter: proc.coredumpFilter === USUAL_COREDUMP_FILTER ? undefined : proc.coredumpFilter,
  };
}

/**
 * What mlockall(2) was told of mappings to come, which nothing shows but such a mapping. Undefined for nothing. More memory is
 * locked than the process' own mappings make up, if so.
 */
function lockedInFuture({ mappings, proc, entered }: Dumpee): number | undefined {
  const kilobytes = Number.parseInt(proc.status.get("VmLck") ?? "0", 10);
  let own = 0;
  for (const { flags, start, end } of mappings) if (flags.has("lo")) own += end - start;
  const locks = entered.locksNewMappings(kilobytes * 1024 - own);
  return locks === undefined ? undefined : MCL.FUTURE | (locks.onFault ? MCL.ONFAULT : 0);
}

const AT_NULL = 0n;
/** CRIU's AT_VECTOR_SIZE on x86-64: it refuses images with more. */
const AUXV_WORDS = 44;

/** The auxiliary vector up to its AT_NULL, as execve(2) made it; the kernel shows zeros after that. */
function readAuxv(pid: HostPid): readonly bigint[] {
  const bytes = readFileBytes(`/proc/${pid}/auxv`);
  return auxvs.of(bytes, () => auxvIn(bytes));
}

const auxvs = new Repeated<readonly bigint[]>(() => {});

function auxvIn(bytes: Uint8Array): bigint[] {
  const view = viewOf(bytes);
  const words: bigint[] = [];
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const type = view.getBigUint64(at, true);
    words.push(type, view.getBigUint64(at + 8, true));
    if (type === AT_NULL) break;
  }
  return words;
}
