/**
 * The network lock, by each method: a dump leaves it, whoever restores takes it away, and the connections go on. Both ways with
 * CRIU_PEER, where it names a CRIU 4.2: what one of them has locked the other one unlocks.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { buildFixtures } from "./harness/build.ts";
import { startFixture } from "./harness/fixture.ts";
import { hasIptables, lockRules, lockRulesLeft } from "./harness/lock-rules.ts";
import { patience } from "./harness/patience.ts";
import { waitGone } from "./harness/processes.ts";
import { dump, ourTool, peerTool, restore, type Tool } from "./harness/tool.ts";

const NAMES = ["tcp_outside", "tcp_local"];
const peer = peerTool();
const isRoot = process.getuid?.() === 0;
const exchanges: [string, Tool, Tool][] = [["by ours", ourTool(), ourTool()]];
if (peer !== undefined)
  exchanges.push(
    ["dumped by ours, restored by the peer", ourTool(), peer],
    ["dumped by the peer, restored by ours", peer, ourTool()],
  );
else console.log("no lock is exchanged with the peer: CRIU_PEER names no CRIU 4.2");

beforeAll(() => buildFixtures(NAMES), 300_000);

async function carried(name: string, method: string, dumpTool: Tool, restoreTool: Tool): Promise<void> {
  const fixture = await startFixture(name);
  try {
    const others = lockRules();
    const images = join(fixture.stateDir, "images");
    const options = ["--tcp-established", "--network-lock", method];
    const dumped = await dump(fixture.pid, images, { tool: dumpTool, options });
    expect(dumped.ok ? "" : dumped.errors).toBe("");
    expect(await waitGone([...fixture.seen])).toEqual([]);
    expect(lockRules(others).length).toBeGreaterThan(0);
    const restored = await restore(images, { tool: restoreTool, options: ["--tcp-established"] });
    expect(restored.ok ? "" : restored.errors).toBe("");
    expect(await lockRulesLeft(others)).toEqual([]);
    expect(await fixture.finish()).toBe("PASS");
  } finally {
    await fixture.stop();
  }
}

for (const method of ["nftables", "iptables"])
  describe.skipIf(!isRoot || (method === "iptables" && !hasIptables()))(method, () => {
    for (const name of NAMES)
      for (const [what, dumpTool, restoreTool] of exchanges)
        test(`${name}: ${what}`, () => carried(name, method, dumpTool, restoreTool), patience(90_000));
  });
