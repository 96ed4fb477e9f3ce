/**
 * Plugins from the command line: which are found, which are refused, and when they are asked what. That one saves what we
 * refuse, a descriptor, is a fixture (plugin_file).
 */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adoptOrphans,
  killAll,
  leaveToBun,
  processState,
  processTree,
  waitGone,
} from "./harness/processes.ts";
import { ourTool } from "./harness/tool.ts";

setDefaultTimeout(60_000);
const plugins = join(import.meta.dirname, "plugins");
const witness = join(plugins, "witness.ts");
const base = mkdtempSync(join(tmpdir(), "criu-ts-plugins-"));
let images = "";
let made = 0;
const started = new Set<number>();

beforeAll(adoptOrphans);
afterAll(() => rmSync(base, { recursive: true }));
afterEach(async () => {
  await killAll([...started]);
  started.clear();
});

/** A process, and an empty directory for its images. */
async function start(command: string[]): Promise<number> {
  images = join(base, String(made++));
  mkdirSync(images);
  const child = Bun.spawn(["setsid", ...command], { stdio: ["ignore", "ignore", "ignore"], cwd: base });
  leaveToBun(child);
  started.add(child.pid);
  await Bun.sleep(300);
  for (const pid of processTree(child.pid)) started.add(pid);
  return child.pid;
}

function run(command: string, args: string[], environment: Record<string, string> = {}) {
  const log = join(images, "log");
  rmSync(log, { force: true });
  const words = [...ourTool(), command, "--no-default-config", "-D", images, "-o", log, "-v4", ...args];
  const env = { PATH: process.env.PATH ?? "", ...environment };
  const { exitCode, stdout, stderr } = Bun.spawnSync(words, { stdin: "ignore", env });
  const text = existsSync(log) ? readFileSync(log, "utf8") : "";
  return { code: exitCode, said: stdout.toString() + stderr.toString() + text };
}

/** Dumps and ends a tree; its processes have gone then. */
async function dumpAway(pid: number, args: string[]): Promise<void> {
  const tree = processTree(pid);
  expect(run("dump", ["-t", String(pid), ...args])).toMatchObject({ code: 0 });
  await waitGone(tree);
}

/** What the witness has noted. */
function noted(stage: string): string[] {
  return readFileSync(join(images, `witness-${stage}.log`), "utf8")
    .trim()
    .split("\n");
}

describe("when they are asked", () => {
  test("of a tree of two, in their order, and the restore knows what it needs", async () => {
    const root = await start(["sh", "-c", "sleep 1000 & wait"]);
    const [, child = 0] = processTree(root);
    await dumpAway(root, ["-L", witness]);
    expect(noted("dump")).toEqual([
      "init dump false",
      `pauseDevices ${root}`,
      `pauseDevices ${child}`,
      `checkpointDevices ${root}`,
      `checkpointDevices ${child}`,
      "exit",
    ]);
    const without = run("restore", ["-d"]);
    expect(without.code).toBe(1);
    expect(without.said).toContain("plugin witness: the images need it, and it is not there: see --libdir");
    expect(processState(root)).toBeUndefined();
    expect(run("restore", ["-d", "-L", witness])).toMatchObject({ code: 0 });
    expect(noted("restore")).toEqual([
      "init restore true",
      "postForking",
      `resumeDevicesLate ${root}`,
      `resumeDevicesLate ${child}`,
      "exit",
    ]);
    expect(processTree(root)).toEqual([root, child]);
  });

  test.each([["init"], ["pauseDevices"], ["checkpointDevices"]])(
    "a dump fails when %s does",
    async (hook) => {
      const pid = await start(["sleep", "1000"]);
      const { code, said } = run("dump", ["-t", String(pid), "-L", witness], { WITNESS_FAILS: hook });
      expect(code).toBe(1);
      expect(said).toContain(`plugin witness: ${hook}: as asked for`);
      expect(processState(pid)).toBe("S");
      expect(existsSync(join(images, "inventory.img"))).toBe(false);
      if (hook !== "init") expect(noted("dump").at(-1)).toBe(`exit plugin witness: ${hook}: as asked for`);
    },
  );

  test("a restore fails when postForking does, but not when resumeDevicesLate does", async () => {
    const pid = await start(["sleep", "1000"]);
    await dumpAway(pid, ["-L", witness]);
    const failed = run("restore", ["-d", "-L", witness], { WITNESS_FAILS: "postForking" });
    expect(failed.code).toBe(1);
    expect(processState(pid)).toBeUndefined();
    expect(noted("restore").at(-1)).toBe("exit plugin witness: postForking: as asked for");
    const late = run("restore", ["-d", "-L", witness], { WITNESS_FAILS: "resumeDevicesLate" });
    expect(late.code).toBe(0);
    expect(late.said).toContain("plugin witness: resumeDevicesLate: as asked for");
    expect(processState(pid)).toBe("S");
  });
});

describe("memory of a device", () => {
  // A block device that has nothing in it does: the memory is never touched.
  const disk = readdirSync("/dev").find((name) => /^loop\d+$/.test(name));
  const program = join(base, "mapping");

  test.skipIf(disk === undefined)("is mapped where the plugin says, and not saved by us", async () => {
    const source = join(plugins, "block-mapping.c");
    expect(Bun.spawnSync(["cc", "-Wall", "-o", program, source]).exitCode).toBe(0);
    const path = `/dev/${disk}`;
    const pid = await start([program, path]);
    await dumpAway(pid, ["-L", witness]);
    expect(noted("dump")).toContain(`handleDeviceVma ${pid} ${path} 8192`);
    expect(run("restore", ["-d", "-L", witness])).toMatchObject({ code: 0 });
    expect(noted("restore")).toContain(`updateVmaMap ${path} 4096`);
    const line = readFileSync(`/proc/${pid}/maps`, "utf8")
      .split("\n")
      .find((each) => each.includes(path));
    expect(line).toMatch(/ r--s 00002000 /);
  });

  test.skipIf(disk === undefined)("that is no plugin's is mapped as it was", async () => {
    const pid = await start([program, `/dev/${disk}`]);
    await dumpAway(pid, []);
    expect(run("restore", ["-d"])).toMatchObject({ code: 0 });
    const line = readFileSync(`/proc/${pid}/maps`, "utf8")
      .split("\n")
      .find((each) => each.includes("/dev/"));
    expect(line).toMatch(/ r--s 00001000 /);
  });
});

describe("an open file that nobody knows", () => {
  const device = "/dev/cpu_dma_latency";

  test.skipIf(!existsSync(device))("is refused without a plugin, and where none takes it", async () => {
    const pid = await start(["sh", "-c", `exec 5<>${device}; exec sleep 1000`]);
    for (const libdir of [[], ["-L", witness]]) {
      const { code, said } = run("dump", ["-t", String(pid), ...libdir]);
      expect(code).toBe(1);
      expect(said).toMatch(/descriptor 5: the character device 10:\d+.* cannot be dumped/);
    }
    expect(noted("dump")).toContain(`dumpExternalFile ${device}`);
    expect(processState(pid)).toBe("S");
  });

  test.skipIf(!existsSync(device))("comes back as the plugin makes it", async () => {
    const plugin = join(plugins, "cpu-latency.ts");
    const asked = () => {
      const bytes = new Uint8Array(4);
      const fd = openSync(device, "r");
      readSync(fd, bytes, 0, 4, 0);
      closeSync(fd);
      return new DataView(bytes.buffer).getInt32(0, true);
    };
    const before = asked();
    const hold = `import os, struct, time; fd = os.open("${device}", os.O_RDWR); os.write(fd, struct.pack("i", 4321)); time.sleep(1000)`;
    const pid = await start(["python3", "-c", hold]);
    for (let tries = 0; tries < 200 && asked() !== 4321; tries++) await Bun.sleep(50);
    expect(asked()).toBe(4321);
    await dumpAway(pid, ["-L", plugin]);
    expect(asked()).toBe(before);
    expect(run("restore", ["-d", "-L", plugin])).toMatchObject({ code: 0 });
    expect(asked()).toBe(4321);
  });
});

describe("what is loaded", () => {
  let pid = 0;
  beforeAll(() => {
    mkdirSync(join(base, "libs"));
  });
  afterEach(() => {
    for (const name of readdirSync(join(base, "libs"))) rmSync(join(base, "libs", name));
  });

  function dumpWith(files: Record<string, string>, args: string[], env: Record<string, string> = {}) {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(base, "libs", name), text);
    return run("dump", ["-t", String(pid), "-R", ...args], env);
  }

  const fine = (name: string) => `export default { name: "${name}" };`;

  test("all modules of a directory, JavaScript too, but no tests and declarations", async () => {
    pid = await start(["sleep", "1000"]);
    const libs = join(base, "libs");
    const files = {
      "a.ts": 'type T = string;\nconst name: T = "a";\nexport default { name };',
      "b.js": fine("b"),
      "c.cjs": 'module.exports = { name: "c" };',
      "d.test.ts": "throw 1;",
      "e.d.ts": "throw 1;",
      "README.md": "no module",
    };
    const { code, said } = dumpWith(files, ["-L", libs]);
    expect(code).toBe(0);
    for (const name of ["a.ts", "b.js", "c.cjs"]) expect(said).toContain(`${libs}/${name} is loaded`);
    // The environment names them where the option does not.
    expect(run("dump", ["-t", String(pid), "-R"], { CRIU_LIBS_DIR: libs }).said).toContain("a.ts is loaded");
    const other = run("dump", ["-t", String(pid), "-R", "-L", witness], { CRIU_LIBS_DIR: libs });
    expect(other.said).not.toContain("a.ts is loaded");
  });

  test.each([
    ["x.so", "", "native plugins of CRIU cannot be loaded; a plugin is a module of TypeScript or JavaScript"],
    ["x.ts", "export const name = 1;", "its plugin has no name"],
    ["x.ts", "export default 7;", "exports no plugin"],
    ["x.ts", "export default { name: 'a b' };", "its plugin has no name"],
    ["x.ts", "export default { name: 'a', dumpExtFile() {} };", "there is no hook dumpExtFile"],
    ["x.ts", "export default { name: 'a', init: 7 };", "its hook init is no function"],
    ["x.ts", "export default {", ""],
    ["x.ts", "throw new Error('of its own');", "of its own"],
    ["x.ts", "export default { name: 'a', async init() {} };", "plugin a: init: it gives a promise"],
  ])("%s with %j is refused", async (name, text, message) => {
    pid = await start(["sleep", "1000"]);
    const libs = join(base, "libs");
    const { code, said } = dumpWith({ [name]: text }, ["-L", libs]);
    expect(code).toBe(1);
    const [line = ""] = said.split("\n").filter((each) => each.includes("Error"));
    expect(line).toContain("plugin ");
    expect(line).toContain(message);
    expect(processState(pid)).toBe("S");
  });

  test("what is not there, is no module, or there twice is refused", async () => {
    pid = await start(["sleep", "1000"]);
    const libs = join(base, "libs");
    expect(dumpWith({}, ["-L", `${libs}/none`]).said).toContain("none: newfstatat");
    const text = join(libs, "text");
    expect(dumpWith({ text: "" }, ["-L", text]).said).toContain("is neither a directory nor a module");
    rmSync(text);
    const twice = dumpWith({ "a.ts": fine("same"), "b.ts": fine("same") }, ["-L", libs]);
    expect(twice.said).toContain("plugin same: there are two plugins of this name");
  });
});
