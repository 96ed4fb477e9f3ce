/**
 * Mappings at random: what /proc shows of every page of every process is the same after dump and restore.
 *
 *     MEMORY_SEEDS=100 bun test tests/memory.test.ts       more of them; MEMORY_SEED=17 begins with that one
 */

import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, O, open } from "../src/linux/io.ts";
import { isZero, TASK_SIZE } from "../src/linux/memory.ts";
import { NR } from "../src/linux/nr.ts";
import { type HostPid, hostPid } from "../src/linux/pid.ts";
import { readSmaps } from "../src/linux/proc.ts";
import { addressOf, rawSyscall, syscall } from "../src/linux/syscall.ts";
import { projectDir } from "./harness/build.ts";
import { adoptOrphans, killAll, processTree, waitGone } from "./harness/processes.ts";
import { dump, restore } from "./harness/tool.ts";
import { FRAME, zeroFrame } from "./harness/zero-page.ts";

const PAGE = 4096;
const first = Number(process.env.MEMORY_SEED ?? 1);
const seeds = Array.from({ length: Number(process.env.MEMORY_SEEDS ?? 4) }, (_, i) => first + i);
const program = join(projectDir, "build/random_maps");

/** Flags that tell of the past, not of the present. */
const PASSING = new Set(["sd", "ac", "gu"]);

/** A line for each page: address, permissions, offset, path, flags, kind of page (own, guard, other), content. */
function pagesOf(pid: HostPid, zero: bigint | undefined): Map<number, string> {
  const out = new Map<number, string>();
  const mem = open(`/proc/${pid}/mem`, O.RDONLY);
  const pagemap = open(`/proc/${pid}/pagemap`, O.RDONLY);
  const page = new Uint8Array(PAGE);
  try {
    for (const mapping of readSmaps(pid)) {
      if (mapping.end > TASK_SIZE) continue;
      const count = (mapping.end - mapping.start) / PAGE;
      const words = new BigUint64Array(count);
      const bytes = new Uint8Array(words.buffer);
      syscall("pagemap", NR.pread64, pagemap, addressOf(bytes), bytes.length, (mapping.start / PAGE) * 8);
      const flags = [...mapping.flags].filter((flag) => !PASSING.has(flag)).join(" ");
      const may = [mapping.read, mapping.write, mapping.exec, mapping.shared].map(Number).join("");
      // A memfd's number is its own, and so is that of shared memory.
      for (let i = 0; i < count; i++) {
        const word = words[i] ?? 0n;
        const there = word >> 62n !== 0n && ((word >> 61n) & 1n) === 0n && (word & FRAME) !== zero;
        // What mlock(2) could not make present in its time (behind a guard, say) is made present by the next one.
        const locked = mapping.flags.has("lo") && !mapping.flags.has("lf");
        const own = there && !mapping.shared && !locked;
        const kind = ((word >> 58n) & 1n) !== 0n ? "guard" : own ? "own" : "other";
        const address = mapping.start + i * PAGE;
        // Where the kernel has no zero page, to look at a page that was never touched makes it one of the process' own.
        const blank = zero === undefined && kind !== "guard" && !mapping.shared && isAnonymous(mapping.path);
        if (blank && word >> 61n === 0n) continue;
        const got = rawSyscall(NR.pread64, mem, addressOf(page), PAGE, address);
        if (blank && got === PAGE && isZero(page)) continue;
        const content = mapping.path.startsWith("[vvar")
          ? ""
          : got === PAGE
            ? Bun.hash(page).toString(16)
            : got;
        const offset = mapping.path === "" ? 0 : mapping.offset + i * PAGE;
        out.set(address, `${may} ${offset} ${mapping.path} ${flags} ${kind} ${content}`);
      }
    }
  } finally {
    close(mem);
    close(pagemap);
  }
  return out;
}

function isAnonymous(path: string): boolean {
  return (
    path === "" || path === "[heap]" || path === "[stack]" || path.startsWith("[anon") || path === "/dev/zero"
  );
}

async function ready(pid: number, directory: string): Promise<number[]> {
  for (let i = 0; i < 200; i++) {
    const members = processTree(pid);
    const all = members.every((member) => existsSync(join(directory, `ready.${member}`)));
    if (members.length > 0 && all) return members;
    await Bun.sleep(20);
  }
  throw new Error("the program is not ready after 4 s");
}

test("the program is built", () => {
  mkdirSync(join(projectDir, "build"), { recursive: true });
  const source = join(projectDir, "tests/memory/random_maps.c");
  const cc = Bun.spawnSync([
    "cc",
    "-O1",
    "-D_GNU_SOURCE",
    "-std=gnu11",
    "-Wall",
    "-Werror",
    "-o",
    program,
    source,
  ]);
  expect(cc.stderr.toString()).toBe("");
  adoptOrphans();
});

test.each(seeds)(
  "seed %d",
  async (seed) => {
    const directory = mkdtempSync(join(tmpdir(), "criu-ts-memory-"));
    // Without rseq, whose area the kernel writes to as it likes.
    const env = { ...process.env, GLIBC_TUNABLES: "glibc.pthread.rseq=0" };
    const child = Bun.spawn(["setsid", program, String(seed), directory], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      env,
    });
    const seen = new Set([child.pid]);
    try {
      const members = await ready(child.pid, directory);
      for (const member of members) seen.add(member);
      const zero = zeroFrame();
      const before = members.map((member) => pagesOf(hostPid(member), zero));
      const images = join(directory, "images");
      const dumped = await dump(child.pid, images);
      expect(dumped.ok ? "" : dumped.errors).toBe("");
      expect(await waitGone(members, 3000)).toEqual([]);
      const restored = await restore(images);
      expect(restored.ok ? "" : restored.errors).toBe("");
      const differences: string[] = [];
      members.forEach((member, i) => {
        const was = before[i] ?? new Map<number, string>();
        const is = pagesOf(hostPid(member), zero);
        for (const address of new Set([...was.keys(), ...is.keys()])) {
          if (was.get(address) === is.get(address)) continue;
          const place = `process ${member}: ${address.toString(16)}`;
          differences.push(`${place}: ${was.get(address)} -> ${is.get(address)}`);
        }
      });
      expect(differences.slice(0, 8)).toEqual([]);
    } finally {
      await killAll(seen);
      rmSync(directory, { recursive: true, force: true });
    }
  },
  30_000,
);
