/** `--display-stats`: the figures of stats-dump and stats-restore for the user, labelled as CRIU labels them. */
import type { DumpStatsEntry, RestoreStatsEntry } from "./images/schema/generated/stats.ts";
import { say } from "./log.ts";

/** Prints what a dump took, on standard output. */
export function displayDumpStats(entry: DumpStatsEntry): void {
  const lines = [
    "Displaying dump stats:",
    `Freezing time: ${entry.freezing_time} us`,
    `Frozen time: ${entry.frozen_time} us`,
    `Memory dump time: ${entry.memdump_time} us`,
    `Memory write time: ${entry.memwrite_time} us`,
  ];
  if (entry.irmap_resolve !== undefined) lines.push(`IRMAP resolve time: ${entry.irmap_resolve} us`);
  lines.push(
    `Memory pages scanned: ${count(entry.pages_scanned)}`,
    `Memory pages skipped from parent: ${count(entry.pages_skipped_parent)}`,
    `Memory pages written: ${count(entry.pages_written)}`,
    `Lazy memory pages: ${count(entry.pages_lazy)}`,
  );
  sayLines(lines);
}

/** Prints what a restore took, on standard output. */
export function displayRestoreStats(entry: RestoreStatsEntry): void {
  const lines = [
    "Displaying restore stats:",
    `Pages compared: ${count(entry.pages_compared)}`,
    `Pages skipped COW: ${count(entry.pages_skipped_cow)}`,
  ];
  if (entry.pages_restored !== undefined) lines.push(`Pages restored: ${count(entry.pages_restored)}`);
  lines.push(`Restore time: ${entry.restore_time} us`, `Forking time: ${entry.forking_time} us`);
  sayLines(lines);
}

/** Decimal and hexadecimal. */
function count(pages: bigint): string {
  return `${pages} (0x${pages.toString(16)})`;
}

function sayLines(lines: readonly string[]): void {
  say(lines.map((line) => `${line}\n`).join(""));
}
