/**
 * runc and podman on a machine whose only control groups are those of version 2: so they see it in a mount namespace where nothing else
 * is mounted at /sys/fs/cgroup. (Which controllers there are depends on what the machine itself does with version 1.)
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { COUNT, countOf, Elsewhere, groupsOf, lacking, Scratch } from "./bundle.ts";
import { Podman } from "./podman.ts";
import { RuncContainer } from "./runc.ts";

const CGROUP2 = 0x63677270;
const LONG = 120_000;
const why = lacking("runc", "unshare", "nsenter");
const alone = why || lacking("podman");
for (const reason of new Set([why, alone]))
  if (reason !== "") console.log(`skipped: with cgroup2 alone: ${reason}`);

let elsewhere: Elsewhere | undefined;

beforeAll(async () => {
  if (why !== "") return;
  const script = "umount -l /sys/fs/cgroup\nmount -t cgroup2 none /sys/fs/cgroup";
  elsewhere = await Elsewhere.make(["--mount"], script);
});

afterAll(() => elsewhere?.end());

/** Words that what follows them is run there by. */
function there(): string[] {
  if (elsewhere === undefined) throw new Error("the namespace is not there");
  expect(statfsSync(`/proc/${elsewhere.pid}/root/sys/fs/cgroup`).type).toBe(CGROUP2);
  return elsewhere.words("-m");
}

function groupOf(pid: number): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  return lines.find((line) => line.startsWith("0::")) ?? "none";
}

describe.skipIf(why !== "")("with cgroup2 alone", () => {
  test(
    "runc",
    async () => {
      const scratch = new Scratch(false, 4);
      const change = (spec: { process: { args: string[] }; linux: { resources: unknown } }) => {
        spec.process.args = ["sh", "-c", COUNT];
        spec.linux.resources = {};
      };
      const id = `criu-ts-only2-${process.pid}`;
      const container = new RuncContainer(scratch, id, change, [], there());
      try {
        container.start();
        const file = join(container.root, "data/count");
        let count = await countOf(file, 3);
        const group = groupOf(container.pid);
        expect(group).toContain(id);
        for (const round of [1, 2]) {
          container.checkpoint(round);
          container.restore(round);
          count = await countOf(file, count + 1);
          expect(groupOf(container.pid)).toBe(group);
          // What it sees of them is its own group, as its root.
          expect(
            container.execute("sh", "-c", "read pid rest < /sys/fs/cgroup/cgroup.procs; echo $pid"),
          ).toBe("1\n");
        }
      } finally {
        container.end();
        scratch.remove();
      }
      expect(groupsOf(id)).toEqual([]);
    },
    LONG,
  );

  test.skipIf(alone !== "")(
    "podman, twice, and from an archive",
    async () => {
      const scratch = new Scratch(false, 4);
      const podman = new Podman(scratch, [], there());
      let id = "";
      try {
        // No controller of processes may be left for version 2.
        podman.start("only2", COUNT, "--network", "none", "--pids-limit", "0");
        let count = await podman.countsTo("only2", 3);
        id = podman.id("only2");
        const group = groupOf(podman.pid("only2"));
        for (const _ of [1, 2]) {
          podman.run("container", "checkpoint", "only2");
          podman.run("container", "restore", "only2");
          count = await podman.countsTo("only2", count + 1);
          expect(groupOf(podman.pid("only2"))).toBe(group);
        }
        const archive = scratch.at("only2.tar");
        podman.run("container", "checkpoint", "--export", archive, "only2");
        podman.run("rm", "only2");
        podman.run("container", "restore", "--import", archive);
        await podman.countsTo("only2", count + 1);
        expect(existsSync(archive)).toBe(true);
      } finally {
        podman.end();
        podman.run("image", "rm", "--all", "--force");
        scratch.remove();
      }
      expect(groupsOf(id)).toEqual([]);
    },
    LONG,
  );
});
