/**
 * `npm run test:kernels`: all fixtures and some programs on Debian's own kernels, 6.12 and 6.1, emulated by qemu without KVM, with
 * transparent huge pages always; by the executable that starts cold and by one that is made warm there. Prints for each kernel
 * what failed and what was skipped and why, and how many.
 *
 *     KERNEL=6.1,6.12 FIXTURE=a,b PROGRAM=bc,gcc WAY=cold,warm KERNEL_MINUTES=90 npm run test:kernels
 *
 * Whatever is not given is all of it; PROGRAM= is none. What is fetched and made (4 GB) is kept in KERNEL_DIR, ~/.cache/criu-ts/kernels
 * if not given.
 */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { checkHost, type Job, kernelNames, Machines, NotHere } from "../tests/kernels/machine.ts";
import { compile } from "./build.ts";

const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "criu-ts/kernels");
/** Those of the programs that take seconds on an emulated processor. */
const SMALL_PROGRAMS = "python-threads,perl,bash";

const words = (name: string, otherwise: string) =>
  (process.env[name] ?? otherwise).split(",").filter((word) => word !== "");

async function testKernel(machines: Machines, version: string, cold: string, job: Job): Promise<number> {
  const count: Record<string, number> = { pass: 0, fail: 0, skip: 0 };
  let ended = false;
  const start = Date.now();
  const disk = machines.disk(version, cold, job);
  console.log(`\nLinux ${version}: boots`);
  const inTime = await machines.boot(version, disk, job.minutes + 10, (line) => {
    const [, outcome = "", rest = ""] = /^@ (\w+) (.*)$/.exec(line) ?? [];
    if (outcome === "end") ended = rest === "0";
    else if (outcome === "is") console.log(`Linux ${version}: ${rest}`);
    else if (outcome in count) {
      count[outcome] = (count[outcome] ?? 0) + 1;
      if (outcome !== "pass" || process.env.VERBOSE !== undefined)
        console.log(`${version} ${outcome} ${rest}`);
    }
  });
  if (!ended) {
    console.log(
      `${version} fail: ${inTime ? "the machine ended before its work was done" : "killed, its time is over"}`,
    );
    count.fail = (count.fail ?? 0) + 1;
  }
  const minutes = Math.round((Date.now() - start) / 60_000);
  console.log(
    `Linux ${version}: ${count.pass} passed, ${count.fail} failed, ${count.skip} skipped (${minutes} minutes)`,
  );
  return count.fail ?? 0;
}

const versions = words("KERNEL", [...kernelNames].reverse().join());
const job: Job = {
  fixtures: words("FIXTURE", ""),
  programs: words("PROGRAM", SMALL_PROGRAMS),
  ways: words("WAY", "cold,warm").filter((way) => way === "cold" || way === "warm"),
  minutes: Number(process.env.KERNEL_MINUTES ?? 90),
};
const scratch = mkdtempSync(join(tmpdir(), "criu-ts-kernels-"));
let failed = 0;
try {
  checkHost();
  const machines = new Machines(resolve(process.env.KERNEL_DIR ?? CACHE));
  mkdirSync(join(scratch, "cold"));
  const [cold = ""] = await compile(join(scratch, "cold"));
  for (const version of versions) failed += await testKernel(machines, version, cold, job);
} catch (error) {
  if (!(error instanceof NotHere)) throw error;
  console.log(`kernels: skipped: ${error.message}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(failed === 0 ? 0 : 1);
