/**
 * `criu check` as somebody types it: printed lines, exit codes, and, where CRIU_PEER names a CRIU 4.2, the same answers as that
 * one's about the kernel. What the kernel has but is not built of ours is answered with no; that it says so is seen here too.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FEATURE_NAMES, featureOf } from "../src/check/features.ts";
import { ourTool, peerTool } from "./harness/tool.ts";

setDefaultTimeout(60_000);
const dir = mkdtempSync(join(tmpdir(), "criu-ts-check-"));
afterAll(() => rmSync(dir, { recursive: true }));

/**
 * Where our answer is another one. Writes are tracked by PAGEMAP_SCAN, not by soft-dirty bits. And CRIU says yes to lists of raw
 * sockets where the kernel refuses them (CONFIG_INET_RAW_DIAG).
 */
const OTHERWISE = new Set(["mem_dirty_track", "net_diag_raw"]);

function run(args: string[], tool = ourTool()) {
  const command = [...tool, "check", "--no-default-config", "-D", dir, ...args];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdin: "ignore" });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** What is the machine's own, and how many processes we have. */
function surroundings(): string {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
  return [readFileSync("/proc/self/mountinfo", "utf8"), children].join("\n");
}

test("all that is needed is there, and nothing is left behind", () => {
  const before = surroundings();
  expect(run([])).toEqual({ code: 0, stdout: "Looks good.\n", stderr: "" });
  run(["--all"]);
  expect(surroundings()).toBe(before);
});

test("features that some need are named when they are missing, with what cannot be saved", () => {
  const { code, stdout, stderr } = run(["--all"]);
  const missing = stderr.trim().split("\n").filter(Boolean);
  expect(code).toBe(missing.length === 0 ? 0 : 1);
  if (missing.length === 0) expect(stdout).toBe("Looks good.\n");
  else expect(stdout).toStartWith("Looks good but some kernel features are missing\n");
  for (const line of missing)
    expect(line).toMatch(/^Warn {2}\(check\): .+: .+; what cannot be saved without it: .+$/);
});

describe("--feature", () => {
  test("list names them", () => {
    expect(run(["--feature", "list"])).toEqual({
      code: 0,
      stdout: `${FEATURE_NAMES.join("\n")}\n`,
      stderr: "",
    });
  });

  test("may be given several times; one that is missing is enough to fail", () => {
    const stdout = "mnt_id is supported\nopenat2 is supported\n";
    expect(run(["--feature", "mnt_id", "--feature", "openat2"])).toEqual({ code: 0, stdout, stderr: "" });
    const mixed = run(["--feature", "mnt_id", "--feature", "compat_cr", "--feature", "openat2"]);
    expect(mixed.stdout).toBe(stdout);
    expect(mixed.code).toBe(1);
    expect(mixed.stderr).toMatch(/^Warn {2}\(check\): compat_cr /);
  });

  test("of an unknown name fails", () => {
    const { code, stdout, stderr } = run(["--feature", "bogus"]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("Unknown feature bogus");
  });

  test.each(FEATURE_NAMES.map((name) => [name]))("%s is answered as CRIU 4.2 answers it", (name) => {
    const peer = peerTool();
    const ours = run(["--feature", name]);
    const supported = { code: 0, stdout: `${name} is supported\n`, stderr: "" };
    const part = featureOf(name)?.part;
    if (part?.built === false) {
      expect({ code: ours.code, stdout: ours.stdout }).toEqual({ code: 1, stdout: "" });
      // Where CRIU has it, so has the kernel for us.
      if (peer !== undefined && !OTHERWISE.has(name) && run(["--feature", name], peer).code === 0)
        expect(ours.stderr).toContain("the kernel has it");
    } else if (peer === undefined || OTHERWISE.has(name)) expect(ours.code).toBeLessThanOrEqual(1);
    else if (run(["--feature", name], peer).code === 0) expect(ours).toEqual(supported);
    else expect(ours.code).toBe(1);
  });
});

test("without the rights that are needed it says so", () => {
  const drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
  const { code, stderr } = run([], [...drop, ...ourTool()]);
  expect(code).toBe(1);
  expect(stderr).toContain("CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE");
});
