/**
 * Unix sockets that are connected to processes outside of the tree: --external unix[INODE], --ext-unix-sk=INODE, and the connection that
 * a restore gets with --inherit-fd, or from a plugin. Both ways with CRIU_PEER, where it names a CRIU 4.2.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { buildFixtures } from "./harness/build.ts";
import { type CycleOptions, cycle, type Fixture, leaveRunning, startFixture } from "./harness/fixture.ts";
import { dump, ourTool, peerTool, type Tool } from "./harness/tool.ts";

const NAME = "unix_external";
const peer = peerTool();

beforeAll(() => buildFixtures([NAME]));

async function withFixture(procedure: (fixture: Fixture, inode: string) => Promise<void>): Promise<void> {
  const fixture = await startFixture(NAME);
  try {
    await procedure(fixture, inodeOf(fixture.pid));
  } finally {
    await fixture.stop();
  }
}

/** Of the one socket that a process has. */
function inodeOf(pid: number): string {
  for (const number of readdirSync(`/proc/${pid}/fd`)) {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${number}`)) ?? [];
    if (inode !== undefined) return inode;
  }
  throw new Error(`process ${pid} has no socket`);
}

/** A tool that has a new connection to the fixture's server as its descriptor 5. */
function connected(fixture: Fixture, tool: Tool): Tool {
  const script = [
    "import os, socket, sys",
    "s = socket.socket(socket.AF_UNIX)",
    "s.connect(sys.argv[1])",
    "os.dup2(s.fileno(), 5)",
    "os.execvp(sys.argv[2], sys.argv[2:])",
  ].join("\n");
  return ["python3", "-c", script, join(fixture.stateDir, "outside"), ...tool];
}

for (const option of ["--external", "--ext-unix-sk"] as const) {
  const accepting = (inode: string) =>
    option === "--external" ? ["--external", `unix[${inode}]`] : [`--ext-unix-sk=${inode}`];

  test(`${option}: a dump with -R, and one that fails, are not noticed`, () =>
    withFixture(async (fixture, inode) => {
      await leaveRunning(fixture, { dumpOptions: accepting(inode) });
      const failed = await dump(fixture.pid, join(fixture.stateDir, "images"), {
        options: accepting(inode),
        environment: { CRIU_TS_FAULT: "dump/committed" },
      });
      expect(failed.exitCode).toBe(1);
      expect(existsSync(join(fixture.stateDir, "ended.1"))).toBe(false);
      expect(await fixture.finish()).toBe("PASS");
    }));
}

describe("a connection of the user's takes the place of the one that was", () => {
  const exchanges: [string, Tool, Tool][] = [["ours", ourTool(), ourTool()]];
  if (peer !== undefined)
    exchanges.push(
      ["dumped by ours, restored by the peer", ourTool(), peer],
      ["dumped by the peer, restored by ours", peer, ourTool()],
    );
  for (const [what, dumpTool, restoreTool] of exchanges)
    test(what, () =>
      withFixture(async (fixture, inode) => {
        const how: CycleOptions = {
          dumpTool,
          restoreTool: connected(fixture, restoreTool),
          dumpOptions: ["--external", `unix[${inode}]`],
          restoreOptions: ["--inherit-fd", `fd[5]:socket:[${inode}]`],
        };
        await cycle(fixture, how);
        expect(existsSync(join(fixture.stateDir, "ended.1"))).toBe(true);
        expect(await fixture.finish()).toBe("PASS");
      }),
    );
});

test("a plugin connects it again", () =>
  withFixture(async (fixture) => {
    const options = ["-L", join(import.meta.dirname, "plugins/unix-connection.ts")];
    await cycle(fixture, { dumpOptions: options, restoreOptions: options });
    expect(existsSync(join(fixture.stateDir, "ended.1"))).toBe(true);
    expect(await fixture.finish()).toBe("PASS");
  }));

test("without one the restore says what it wants", () =>
  withFixture(async (fixture, inode) => {
    const how = { dumpOptions: ["--external", `unix[${inode}]`] };
    await expect(cycle(fixture, how)).rejects.toThrow(`--inherit-fd fd[N]:socket:[${inode}]`);
  }));
