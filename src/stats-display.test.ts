import { expect, test } from "bun:test";

/** What a program prints that calls one of the functions. */
function printed(call: string): string {
  const script = `import * as display from "${import.meta.dir}/stats-display.ts"; display.${call};`;
  const run = Bun.spawnSync([process.execPath, "-e", script]);
  expect(run.stderr.toString()).toBe("");
  return run.stdout.toString();
}

const DUMP =
  "freezing_time: 1, frozen_time: 2, memdump_time: 3, memwrite_time: 4, pages_scanned: 255n, " +
  "pages_skipped_parent: 0n, pages_written: 16n, pages_lazy: 1n";

test("a dump", () => {
  expect(printed(`displayDumpStats({ ${DUMP}, irmap_resolve: 5 })`)).toBe(`Displaying dump stats:
Freezing time: 1 us
Frozen time: 2 us
Memory dump time: 3 us
Memory write time: 4 us
IRMAP resolve time: 5 us
Memory pages scanned: 255 (0xff)
Memory pages skipped from parent: 0 (0x0)
Memory pages written: 16 (0x10)
Lazy memory pages: 1 (0x1)
`);
  expect(printed(`displayDumpStats({ ${DUMP} })`)).not.toContain("IRMAP");
});

test("a restore", () => {
  const entry =
    "pages_compared: 10n, pages_skipped_cow: 9n, pages_restored: 8n, restore_time: 7, forking_time: 6";
  expect(printed(`displayRestoreStats({ ${entry} })`)).toBe(`Displaying restore stats:
Pages compared: 10 (0xa)
Pages skipped COW: 9 (0x9)
Pages restored: 8 (0x8)
Restore time: 7 us
Forking time: 6 us
`);
});
