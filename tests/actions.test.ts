/** Action scripts: when they are run, what they find, and what becomes of the work where one fails. */
import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Fixture, startFixture } from "./harness/fixture.ts";
import {
  compareSnapshots,
  killAll,
  leaveToBun,
  ofOneLife,
  processTree,
  readText,
  snapshotProc,
  waitGone,
} from "./harness/processes.ts";
import { dump, type Outcome, peerTool, restore, type Tool, type ToolOptions } from "./harness/tool.ts";

let fixture: Fixture;
afterEach(() => fixture.stop());

/** A script that notes each stage in a file, and fails at `failing`. */
function script(name: string, failing = "", code = 3): { path: string; lines(): string[] } {
  const path = join(fixture.stateDir, name);
  const noted = join(fixture.stateDir, `${name}.out`);
  const text = `#!/bin/sh
echo "$CRTOOLS_SCRIPT_ACTION root=$CRTOOLS_INIT_PID images=$(readlink "$CRTOOLS_IMAGE_DIR") in=$PWD $0" >> ${noted}
echo printed by ${name}
ls -l /proc/$$/fd >> ${noted}.fds
[ "$CRTOOLS_SCRIPT_ACTION" != "${failing}" ] || exit ${code}
`;
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return { path, lines: () => (existsSync(noted) ? readFileSync(noted, "utf8").trimEnd().split("\n") : []) };
}

const actionsOf = (lines: readonly string[]) => lines.map((line) => line.split(" ")[0]);

/** Dumps the fixture, and sees to it that its numbers are free again. */
async function dumpWhole(images: string, how: ToolOptions = {}): Promise<Outcome> {
  const members = processTree(fixture.pid);
  const dumped = await dump(fixture.pid, images, how);
  if (!dumped.ok) throw new Error(dumped.errors);
  await waitGone(members);
  return dumped;
}

async function start(): Promise<string> {
  fixture = await startFixture("pstree");
  const images = join(fixture.stateDir, "img");
  mkdirSync(images);
  return images;
}

describe("scripts", () => {
  test("are run at every stage, with the images and the root's pid, and print to the log", async () => {
    const images = await start();
    const first = script("first");
    const second = script("second");
    const options = ["--action-script", first.path, "--action-script", second.path];
    const work = join(fixture.stateDir, "work");
    const dumped = await dumpWhole(images, { options, workDir: work });
    expect(dumped.errors).not.toContain("Error");
    expect(dumped.log).toContain("printed by first");
    const root = `root=${fixture.pid}`;
    const rest = `images=${images} in=${work} ${first.path}`;
    expect(first.lines()).toEqual([`pre-dump ${root} ${rest}`, `post-dump ${root} ${rest}`]);
    expect(actionsOf(second.lines())).toEqual(["pre-dump", "post-dump"]);
    // The last one given comes first.
    expect(dumped.log.indexOf("printed by second")).toBeLessThan(dumped.log.indexOf("printed by first"));
    const restored = await restore(images, { options, workDir: work });
    expect(restored.ok).toBe(true);
    expect(first.lines().slice(2)).toEqual([
      `pre-restore root= ${rest}`,
      `post-restore ${root} ${rest}`,
      `pre-resume ${root} ${rest}`,
      `post-resume ${root} ${rest}`,
    ]);
    // Nothing of ours leaks: the log twice, and what the shell and ls opened.
    const fds = readFileSync(join(fixture.stateDir, "first.out.fds"), "utf8");
    for (const line of fds.split("\n").filter((each) => each.includes("->")))
      expect(line).toMatch(/ (1|2|10|255|[0-9]+) -> .*(dump\.log|restore\.log|first|first\.out\.fds)$/);
    await fixture.finish();
  }, 60_000);

  const peer = peerTool();
  if (peer === undefined) console.log("skipped: no CRIU_PEER to compare the order of actions with");
  test.if(peer !== undefined)(
    "come at the same stages as the peer's",
    async () => {
      const stages = async (tool: Tool | undefined) => {
        const images = await start();
        const noted = script("noted");
        const how = { ...(tool && { tool }), options: ["--action-script", noted.path] };
        // The second time it has a time namespace of its own, which the first restore has made for its clocks.
        for (let time = 0; time < 2; time++) {
          await dumpWhole(images, how);
          const restored = await restore(images, how);
          if (!restored.ok) throw new Error(restored.errors);
        }
        await fixture.finish();
        const root = `root=${fixture.pid}`;
        const lines = noted.lines();
        await fixture.stop();
        return lines.map((line) => line.split(" ").slice(0, 2).join(" ").replace(root, "root"));
      };
      const ours = await stages(undefined);
      expect(ours).toEqual(await stages(peer));
      expect(ours).toContain("setup-namespaces root");
    },
    60_000,
  );

  test.if(peer !== undefined).each([[[]], [["-R"]]])(
    "come at the same stages where the tree has a network of its own: %j",
    async (more) => {
      fixture = await startFixture("minimal");
      const stages = async (tool: Tool | undefined) => {
        const child = Bun.spawn(["unshare", "-n", "setsid", "sleep", "1000"], {
          stdin: "ignore",
          stdout: "ignore",
          stderr: "ignore",
        });
        leaveToBun(child);
        try {
          while (!(readText(`/proc/${child.pid}/cmdline`) ?? "").startsWith("sleep")) await Bun.sleep(5);
          const noted = script(`noted-${tool === undefined ? "ours" : "peer"}`);
          const options = ["--empty-ns", "net", "--action-script", noted.path];
          const images = join(fixture.stateDir, `img-${child.pid}`);
          mkdirSync(images);
          const how = { ...(tool && { tool }), options: [...options, ...more] };
          const dumped = await dump(child.pid, images, how);
          if (!dumped.ok) throw new Error(dumped.errors);
          if (more.length === 0) {
            await waitGone([child.pid]);
            const restored = await restore(images, { ...how, options });
            if (!restored.ok) throw new Error(restored.errors);
          }
          return actionsOf(noted.lines());
        } finally {
          await killAll([child.pid]);
        }
      };
      const ours = await stages(undefined);
      expect(ours).toEqual(await stages(peer));
      expect(ours).toContain("network-unlock");
      await fixture.finish();
    },
    60_000,
  );

  test.each(["pre-dump", "post-dump"])(
    "that fails at %s: the dump fails, and changes nothing",
    async (action) => {
      const images = await start();
      const { path } = script("failing", action);
      const before = snapshotProc(fixture.pid);
      const dumped = await dump(fixture.pid, images, { options: ["--action-script", path] });
      expect(dumped.errors).toContain(`script ${path} exited with 3 at ${action}`);
      // What a script says after the dump is for whoever asked for it: the images are whole then.
      expect(dumped.exitCode).toBe(action === "post-dump" ? 3 : 1);
      expect(existsSync(join(images, "inventory.img"))).toBe(action === "post-dump");
      expect(compareSnapshots(before, snapshotProc(fixture.pid))).toEqual([]);
      await fixture.finish();
    },
    60_000,
  );

  test.each(["pre-restore", "post-restore"])(
    "that fails at %s: nothing is left of the restore",
    async (action) => {
      const images = await start();
      const before = snapshotProc(fixture.pid);
      const members = processTree(fixture.pid);
      await dumpWhole(images);
      await waitGone(members);
      const { path, lines } = script("failing", action);
      const failed = await restore(images, { options: ["--action-script", path] });
      expect(failed.exitCode).toBe(1);
      expect(failed.errors).toContain(`script ${path} exited with 3 at ${action}`);
      expect(actionsOf(lines()).at(-1)).toBe(action);
      expect(await waitGone(members, 0)).toEqual([]);
      expect(existsSync(join(images, "stats-restore"))).toBe(false);
      expect((await restore(images)).ok).toBe(true);
      expect(compareSnapshots(ofOneLife(before), ofOneLife(snapshotProc(fixture.pid)))).toEqual([]);
      await fixture.finish();
    },
    60_000,
  );

  test.each(["pre-resume", "post-resume"])(
    "that fails at %s is too late",
    async (action) => {
      const images = await start();
      await dumpWhole(images);
      const { path } = script("failing", action);
      const restored = await restore(images, { options: ["--action-script", path] });
      expect(restored.ok).toBe(true);
      expect(restored.errors).toContain(`${action}: it is too late to stop: script ${path} exited with 3`);
      await fixture.finish();
    },
    60_000,
  );

  test("that is not there, or dies, fails the work as well", async () => {
    const images = await start();
    const missing = await dump(fixture.pid, images, { options: ["--action-script", "/no/such/script"] });
    expect(missing.exitCode).toBe(1);
    expect(missing.errors).toContain("script /no/such/script cannot be run at pre-dump: ENOENT");
    const { path } = script("dying");
    writeFileSync(path, "#!/bin/sh\nkill -9 $$\n");
    const killed = await dump(fixture.pid, images, { options: ["--action-script", path] });
    expect(killed.exitCode).toBe(1);
    expect(killed.errors).toContain(`script ${path} was ended by signal 9 at pre-dump`);
    await fixture.finish();
  }, 60_000);
});
