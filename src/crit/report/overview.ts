/** The upper part of the page: what there is in all, how long it took, and the tree. */
import type { DumpStatsEntry, RestoreStatsEntry } from "../../images/schema/generated/stats.ts";
import { TASK_STATE } from "../../process/core.ts";
import type { Checkpoint, Process } from "./checkpoint.ts";
import { bar, count, duration, html, type Markup, number, type Part, size, table, text } from "./html.ts";
import type { OpenFiles } from "./open-files.ts";
import type { SharedMemory } from "./shared-memory.ts";
import { noBytes, PLACES } from "./stored.ts";

const PAGE = 4096;

/** A number that is also there for programs, exactly. */
function data(name: string, value: number, shown: string): Markup {
  return html`<data id="${name}" value="${value}">${shown}</data>`;
}

export function tiles(checkpoint: Checkpoint, files: OpenFiles, shared: readonly SharedMemory[]): Markup {
  const { processes } = checkpoint;
  const stored = noBytes();
  for (const { total } of shared) for (const place of PLACES) stored[place] += total?.[place] ?? 0;
  let mapped = 0;
  let threads = 0;
  let descriptors = 0;
  for (const process of processes) {
    threads += process.entry.threads.length;
    descriptors += process.descriptors.length;
    mapped += process.memory?.mapped ?? 0;
    for (const place of PLACES) stored[place] += process.memory?.stored.total[place] ?? 0;
  }
  const onDisk = checkpoint.files
    .filter(({ what }) => what !== "other")
    .reduce((sum, { size }) => sum + size, 0);
  const all: [string, Markup | undefined][] = [
    ["Processes", data("processes", processes.length, count(processes.length))],
    ["Threads", data("threads", threads, count(threads))],
    ["Memory mapped", data("mapped", mapped, size(mapped))],
    ["Memory stored here", data("stored", stored.here, size(stored.here))],
    ["Pages stored here", data("pages", stored.here / PAGE, count(stored.here / PAGE))],
    [
      "Stored in the dump before",
      stored.parent === 0 ? undefined : data("in-parent", stored.parent, size(stored.parent)),
    ],
    [
      "Left with the page server",
      stored.lazy === 0 ? undefined : data("lazy", stored.lazy, size(stored.lazy)),
    ],
    ["Open files", data("files", files.all.length, count(files.all.length))],
    ["Descriptors", data("descriptors", descriptors, count(descriptors))],
    ["Images", data("images", onDisk, size(onDisk))],
  ];
  const shown = all.filter(([, value]) => value !== undefined);
  return html`<dl class="tiles">${shown.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
`;
}

type Row = readonly [what: string, microseconds: number];

function timeTable(rows: readonly Row[], longest: number): Markup {
  return table(
    [text("What"), number("Time"), text("")],
    rows.map(([what, time]) => [what, duration(time), bar(time, longest)]),
  );
}

function counts(rows: readonly (readonly [string, bigint | undefined])[]): Markup {
  // What was not done at all need not be told.
  const some = rows.flatMap(([what, value]) => (value ? [[what, count(value)]] : []));
  return table([text("Pages"), number("Count")], some);
}

export function times({ stats }: Checkpoint): Markup | undefined {
  const dump = stats.dump?.dump;
  const restore = stats.restore?.restore;
  if (dump === undefined && restore === undefined) return undefined;
  const rows = {
    dump: dump === undefined ? [] : dumpTimes(dump),
    restore: restore === undefined ? [] : restoreTimes(restore),
  };
  const longest = Math.max(...[...rows.dump, ...rows.restore].map(([, time]) => time));
  return html`<h2 id="times">Times</h2>
${dump === undefined ? undefined : html`<h3>Dump</h3>${timeTable(rows.dump, longest)}${dumpCounts(dump)}`}
${restore === undefined ? undefined : html`<h3>Restore</h3>${timeTable(rows.restore, longest)}${restoreCounts(restore)}`}`;
}

function dumpTimes(dump: DumpStatsEntry): Row[] {
  return [
    ["Until all were frozen", dump.freezing_time],
    ["Frozen", dump.frozen_time],
    ["Of these: taking the memory", dump.memdump_time],
    ["Writing the memory", dump.memwrite_time],
  ];
}

function dumpCounts(dump: DumpStatsEntry): Markup {
  return counts([
    ["Looked at", dump.pages_scanned],
    ["Unchanged since the dump before", dump.pages_skipped_parent],
    ["Written", dump.pages_written],
    ["Left with the page server", dump.pages_lazy],
    ["Of shared memory: looked at", dump.shpages_scanned],
    ["Of shared memory: unchanged", dump.shpages_skipped_parent],
    ["Of shared memory: written", dump.shpages_written],
  ]);
}

function restoreTimes(restore: RestoreStatsEntry): Row[] {
  return [
    ["Making the processes", restore.forking_time],
    ["All of it", restore.restore_time],
  ];
}

function restoreCounts(restore: RestoreStatsEntry): Markup {
  return counts([
    ["Compared with a parent's", restore.pages_compared],
    ["The same as a parent's", restore.pages_skipped_cow],
    ["Restored", restore.pages_restored],
  ]);
}

export function stateOf({ core }: Process): string {
  const tc = core?.tc;
  switch (tc?.task_state) {
    case TASK_STATE.ALIVE:
      return "alive";
    case TASK_STATE.STOPPED:
      return "stopped";
    case TASK_STATE.DEAD:
    case TASK_STATE.ZOMBIE:
      return `ended: ${endOf(tc.exit_code)}`;
    default:
      return "?";
  }
}

/** An exit code as wait(2) has it. */
function endOf(code: number): string {
  const signal = code & 0x7f;
  return signal === 0 ? `exit code ${code >> 8}` : `signal ${signal}`;
}

/** The names of users are not in the images. */
export function userOf({ core }: Process): string {
  const creds = core?.thread_core?.creds;
  if (creds === undefined) return "";
  return creds.uid === creds.euid ? String(creds.uid) : `${creds.uid} as ${creds.euid}`;
}

/** Deeper trees are drawn no deeper. */
const DEEPEST = 24;

export function tree({ processes }: Checkpoint): Markup {
  const most = Math.max(0, ...processes.map(({ memory }) => memory?.stored.total.here ?? 0));
  const rows = processes.map((process): Part[] => {
    const { pid, entry, depth, comm, memory, threads, descriptors } = process;
    const here = memory?.stored.total.here ?? 0;
    const indent = "\u00a0\u00a0\u00a0".repeat(Math.min(depth, DEEPEST)) + (depth > 0 ? "└ " : "");
    return [
      html`<span class="short">${indent}<a href="#p${pid}">${comm}</a></span>`,
      pid,
      stateOf(process),
      entry.pgid,
      entry.sid,
      userOf(process),
      threads.length,
      descriptors.length,
      memory === undefined ? "" : size(memory.mapped),
      memory === undefined ? "" : size(here),
      bar(here, most, "here"),
    ];
  });
  const columns = [
    ...[text("Process"), number("Pid"), text("State"), number("Group"), number("Session"), text("User")],
    ...[number("Threads"), number("Descriptors"), number("Mapped"), number("Stored"), text("")],
  ];
  return html`<h2 id="tree">Processes</h2>${table(columns, rows, 5000, "crit x DIR ps")}`;
}
