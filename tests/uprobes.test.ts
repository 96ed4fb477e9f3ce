/** A process that a uprobe has hit has a mapping of the kernel's own: --allow-uprobes. */
import { afterEach, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adoptOrphans, killAll, leaveToBun, readText, waitGone } from "./harness/processes.ts";
import { dump, restore } from "./harness/tool.ts";

const EVENTS = "/sys/kernel/tracing/uprobe_events";
const has = existsSync(EVENTS) && process.getuid?.() === 0;
if (!has) console.log(`skipped: no ${EVENTS}`);

const cleanup: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

const SOURCE = `
#include <stdio.h>
#include <unistd.h>
int target(volatile int *n) { *n += 1; return *n * 3; }
int main(int argc, char **argv)
{
	int (*volatile call)(volatile int *) = target;
	volatile int n = 0;
	char text[64];
	for (;;) {
		call(&n);
		FILE *out = fopen(argv[1], "w");
		fprintf(out, "%d", n);
		fclose(out);
		usleep(10000);
	}
}`;

/** Where a symbol stands in its file, by nm and the program headers. */
function offsetOf(program: string, symbol: string): number {
  const lines = Bun.spawnSync(["nm", program]).stdout.toString().split("\n");
  const address = Number.parseInt(lines.find((line) => line.endsWith(` T ${symbol}`)) ?? "", 16);
  const loads = Bun.spawnSync(["readelf", "-lW", program])
    .stdout.toString()
    .matchAll(/LOAD\s+(\S+) (\S+) \S+ (\S+)/g);
  for (const [, offset, start, size] of loads) {
    const begin = Number(start);
    if (address >= begin && address < begin + Number(size)) return address - begin + Number(offset);
  }
  throw new Error(`${symbol} is in no segment`);
}

test.if(has)(
  "a process that a uprobe has hit goes on, if that is allowed",
  async () => {
    adoptOrphans();
    const dir = mkdtempSync(join(tmpdir(), "criu-ts-uprobe-"));
    cleanup.push(() => rmSync(dir, { recursive: true }));
    const program = join(dir, "program");
    writeFileSync(join(dir, "program.c"), SOURCE);
    expect(
      Bun.spawnSync(["cc", "-O1", "-fno-inline", "-o", program, join(dir, "program.c")]).stderr.toString(),
    ).toBe("");
    const event = `criu_ts_${process.pid}`;
    appendFileSync(EVENTS, `p:${event}/hit ${program}:0x${offsetOf(program, "target").toString(16)}\n`);
    cleanup.push(() => appendFileSync(EVENTS, `-:${event}/hit\n`));
    const enable = `/sys/kernel/tracing/events/${event}/hit/enable`;
    writeFileSync(enable, "1");
    cleanup.push(() => writeFileSync(enable, "0"));

    const count = join(dir, "count");
    const child = Bun.spawn(["setsid", program, count], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      cwd: dir,
    });
    leaveToBun(child);
    cleanup.push(() => killAll([child.pid]));
    while (!(readText(`/proc/${child.pid}/maps`) ?? "").includes("[uprobes]")) await Bun.sleep(10);

    const images = join(dir, "images");
    const refused = await dump(child.pid, images);
    expect(refused.errors).toContain("([uprobes]) belongs to a uprobe; --allow-uprobes leaves it out");
    const allowed = { options: ["--allow-uprobes"] };
    expect((await dump(child.pid, images, allowed)).errors).not.toContain("Error");
    await waitGone([child.pid]);
    expect((await restore(images)).errors).toContain(
      "dumped with --allow-uprobes, which a restore needs as well",
    );
    expect((await restore(images, allowed)).ok).toBe(true);
    const before = Number(readFileSync(count, "utf8"));
    for (let look = 0; look < 100 && !(Number(readFileSync(count, "utf8")) > before + 5); look++)
      await Bun.sleep(20);
    expect(Number(readFileSync(count, "utf8"))).toBeGreaterThan(before + 5);
    expect(readText(`/proc/${child.pid}/maps`)).toContain("[uprobes]");
  },
  60_000,
);
