import { expect, test } from "bun:test";
import { join } from "node:path";
import { affinityOf, everyCpu, onlyCpu, presentCpu, setAffinity } from "../../linux/affinity.ts";
import { CALLER, hostPid } from "../../linux/pid.ts";
import { SameCpu } from "./same-cpu.ts";

const count = (mask: Uint8Array = new Uint8Array()) =>
  mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);

test("we stay on one processor, others are freed, and in the end all is as before", () => {
  const before = affinityOf(CALLER);
  const child = Bun.spawn(["sleep", "60"]);
  try {
    const same = new SameCpu();
    same.begin();
    expect(count(affinityOf(CALLER))).toBe(1);
    expect(setAffinity(hostPid(child.pid), onlyCpu(presentCpu() ?? 0))).toBe(true);
    same.free([hostPid(child.pid)]);
    expect(affinityOf(hostPid(child.pid))).toEqual(before);
    same.end();
    expect(affinityOf(CALLER)).toEqual(before);
  } finally {
    child.kill("SIGKILL");
  }
});

test("who was given a processor by somebody keeps to it", () => {
  const cpu = presentCpu() ?? 0;
  expect(setAffinity(CALLER, onlyCpu(cpu))).toBe(true);
  try {
    const same = new SameCpu();
    same.begin();
    same.end();
    // On a machine of one processor nobody can tell the difference.
    expect(count(affinityOf(CALLER))).toBe(1);
  } finally {
    setAffinity(CALLER, everyCpu());
  }
});

test("what never began ends without a trace", () => {
  const before = affinityOf(CALLER);
  new SameCpu().end();
  new SameCpu().free([hostPid(1)]);
  expect(affinityOf(CALLER)).toEqual(before);
});

test("who could not free others stays free", () => {
  const program = `
    const { affinityOf } = await import("./src/linux/affinity.ts");
    const { SameCpu } = await import("./src/tracee/build/same-cpu.ts");
    const before = affinityOf(0);
    new SameCpu().begin();
    process.exit(Buffer.compare(before, affinityOf(0)) === 0 ? 0 : 1);
  `;
  const bare = [
    "setpriv",
    "--bounding-set=-sys_nice",
    "--inh-caps=-sys_nice",
    process.execPath,
    "-e",
    program,
  ];
  const cwd = join(import.meta.dir, "../../..");
  const { exitCode, stderr } = Bun.spawnSync(bare, { cwd });
  expect(stderr.toString()).toBe("");
  expect(exitCode).toBe(0);
  // With all capabilities it is held, where there is more than one processor.
  const full = Bun.spawnSync([process.execPath, "-e", program], { cwd });
  expect(full.exitCode).toBe(count(affinityOf(CALLER)) > 1 ? 1 : 0);
});
