/** `podman container checkpoint` and `restore`, with us as the only `criu` that podman and its runtime find. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectDir } from "../harness/build.ts";
import { java } from "../servers/java.ts";
import { Load } from "../servers/load.ts";
import { nginx } from "../servers/nginx.ts";
import { node } from "../servers/node.ts";
import { freePort } from "../servers/port.ts";
import { postgres } from "../servers/postgres.ts";
import { redis } from "../servers/redis.ts";
import { COUNT, groupsOf, lacking, Scratch } from "./bundle.ts";
import { Podman } from "./podman.ts";
import { networkOf, stateOf } from "./state.ts";

const why = lacking("podman", "runc", "nsenter", "ip");
if (why !== "") console.log(`skipped: containers of podman: ${why}`);
const LONG = 120_000;

const podman = why === "" ? new Podman(new Scratch(false, 4), ["catatonit"]) : undefined;

function engine(): Podman {
  if (podman === undefined) throw new Error(why);
  return podman;
}

afterEach(() => podman?.end());
afterAll(() => {
  podman?.run("image", "rm", "--all", "--force");
  podman?.scratch.remove();
});

function running(name: string): boolean {
  return engine().run("ps", "--filter", `name=${name}`, "--format", "{{.Names}}") === name;
}

/**
 * Servers that clients talk to from outside while they are saved and restored three times. They are in the machine's network: that of
 * a bridge podman sets up before it calls us, and whatever a client sends until then is answered by a reset.
 */
const servers = [redis, nginx, node, postgres, java];

for (const each of servers) {
  const missing = each.needs.filter((name) => Bun.which(name) === null);
  if (missing.length > 0) console.log(`skipped: ${each.name} in a container: no ${missing.join(", ")} here`);
  test.skipIf(why !== "" || missing.length > 0)(
    `podman: ${each.name} under load from outside, three times over`,
    async () => {
      const it = engine();
      const dir = it.scratch.at(each.name);
      mkdirSync(dir);
      const port = await freePort();
      const { command, environment = {} } = each.plan(dir, port, "127.0.0.1");
      const words = Object.entries({ HOME: dir, LC_ALL: "C.UTF-8", ...environment });
      const options = words.flatMap(([key, value]) => ["-e", `${key}=${value}`]);
      options.push("--network", "host", "-w", dir, "--tmpfs", "/tmp");
      const shared = [dir, projectDir];
      it.startWithPrograms(each.name, `exec ${command}`, shared, ...options);
      const load = new Load();
      try {
        const check = await each.load(port, load, { dir });
        await load.goesOn(5);
        for (let round = 0; round < 3 && load.failures.length === 0; round++) {
          it.run("container", "checkpoint", "--tcp-established", "--file-locks", each.name);
          expect(running(each.name)).toBe(false);
          it.run("container", "restore", "--tcp-established", "--file-locks", each.name);
          await load.goesOn(5);
        }
        await load.stop();
        expect(load.failures).toEqual([]);
        await check();
      } finally {
        await load.stop();
      }
    },
    2 * LONG,
  );
}

describe.skipIf(why !== "")("podman", () => {
  test(
    "checkpoint and restore, twice, as it was, with volumes, a tmpfs, and what it has printed",
    async () => {
      const it = engine();
      const volume = it.scratch.at("volume");
      mkdirSync(volume);
      writeFileSync(join(volume, "file"), "content\n");
      const mounts = ["-v", `${volume}:/mnt`, "-v", "named:/run/named", "--tmpfs", "/tmp"];
      it.start("plain", COUNT, "--network", "host", ...mounts);
      it.run("exec", "plain", "sh", "-c", "echo kept > /tmp/kept; echo kept > /run/named/kept");
      let count = await it.countsTo("plain", 3);
      const before = stateOf(it.pid("plain"));
      const id = it.id("plain");
      for (const _ of [1, 2]) {
        it.run("container", "checkpoint", "plain");
        expect(running("plain")).toBe(false);
        it.run("container", "restore", "plain");
        count = await it.countsTo("plain", count + 1);
        expect(stateOf(it.pid("plain"))).toEqual(before);
      }
      expect(it.run("exec", "plain", "cat", "/tmp/kept", "/run/named/kept", "/mnt/file")).toBe(
        "kept\nkept\ncontent",
      );
      // No line is lost, and none comes twice.
      const printed = it.run("logs", "plain").split("\n").map(Number);
      expect(printed.length).toBeGreaterThanOrEqual(count);
      expect(printed).toEqual(printed.map((_, i) => i + 1));
      it.end();
      expect(groupsOf(id)).toEqual([]);
    },
    LONG,
  );

  test(
    "--pre-checkpoint, and a checkpoint --with-previous",
    async () => {
      const it = engine();
      it.start("pre", COUNT, "--network", "host");
      const count = await it.countsTo("pre", 3);
      it.run("container", "checkpoint", "--pre-checkpoint", "pre");
      expect(running("pre")).toBe(true);
      await it.countsTo("pre", count + 2);
      it.run("container", "checkpoint", "--with-previous", "pre");
      expect(running("pre")).toBe(false);
      it.run("container", "restore", "pre");
      await it.countsTo("pre", count + 4);
    },
    LONG,
  );

  test(
    "a network namespace of podman's own (--network none)",
    async () => {
      const it = engine();
      it.start("alone", COUNT, "--network", "none");
      const count = await it.countsTo("alone", 3);
      const before = networkOf(it.pid("alone"));
      it.run("container", "checkpoint", "alone");
      it.run("container", "restore", "alone");
      await it.countsTo("alone", count + 1);
      expect(networkOf(it.pid("alone"))).toEqual(before);
    },
    LONG,
  );

  test(
    "--leave-running, --export, --file-locks, --tcp-established; --import after it is gone, and under another name beside it",
    async () => {
      const it = engine();
      const archive = it.scratch.at("export.tar");
      it.start("first", COUNT, "--network", "host");
      const count = await it.countsTo("first", 3);
      const { ino } = statSync(`/proc/${it.pid("first")}`);
      it.run("container", "checkpoint", "--leave-running", "--export", archive, "--file-locks", "first");
      expect(statSync(`/proc/${it.pid("first")}`).ino).toBe(ino);
      const later = await it.countsTo("first", count + 40);
      it.run("container", "restore", "--import", archive, "--name", "second", "--file-locks");
      // It goes on from where the first one was saved, and has a root file system of its own.
      const second = await it.countsTo("second", count);
      expect(second).toBeLessThan(await it.countsTo("first", later));
      await it.countsTo("second", second + 1);
      const gone = it.scratch.at("gone.tar");
      it.run("container", "checkpoint", "--export", gone, "--tcp-established", "second");
      expect(running("second")).toBe(false);
      it.run("rm", "second");
      it.run("container", "restore", "--import", gone, "--tcp-established");
      await it.countsTo("second", second + 2);
    },
    LONG,
  );

  test(
    "--ignore-rootfs: the files that it has made stay out of the archive",
    async () => {
      const it = engine();
      const archive = it.scratch.at("without.tar");
      it.start("without", COUNT, "--network", "none");
      await it.countsTo("without", 3);
      it.run("exec", "without", "sh", "-c", "echo made > /etc/made");
      it.run("container", "checkpoint", "--export", archive, "--ignore-rootfs", "without");
      const names = Bun.spawnSync(["tar", "-tf", archive]).stdout.toString();
      expect(names).toContain("checkpoint/inventory.img");
      expect(names).not.toContain("rootfs-diff.tar");
      it.run("rm", "without");
      it.run("container", "restore", "--import", archive, "--ignore-rootfs");
      const count = await it.countsTo("without", 3);
      expect(it.run("exec", "without", "sh", "-c", "cat /etc/made || echo none")).toBe("none");
      await it.countsTo("without", count + 1);
    },
    LONG,
  );

  const poor = Bun.which("catatonit") === null ? "no catatonit here" : "";
  if (why === "" && poor !== "") console.log(`skipped: a pod of podman: ${poor}`);
  for (const shared of ["ipc,uts,net", "ipc,uts,net,pid"])
    test.skipIf(poor !== "")(
      `a container of a pod that shares ${shared}: in its pod, twice, and in another one`,
      async () => {
        const it = engine();
        const options = ["--network", "none", "--share", shared];
        const spaces = (name: string) =>
          shared.split(",").map((kind) => readlinkSync(`/proc/${it.pid(name)}/ns/${kind}`));
        const pod = it.makePod("pod", "/bin/catatonit -P", ...options);
        const infra = (id: string) => it.run("pod", "inspect", "-f", "{{.InfraContainerID}}", id);
        it.start("member", COUNT, "--pod", pod);
        let count = await it.countsTo("member", 3);
        for (const _ of [1, 2]) {
          it.run("container", "checkpoint", "member");
          it.run("container", "restore", "member");
          count = await it.countsTo("member", count + 1);
          expect(spaces("member")).toEqual(spaces(infra(pod)));
        }
        const archive = it.scratch.at(`pod-${shared}.tar`);
        it.run("container", "checkpoint", "--export", archive, "member");
        it.run("rm", "member");
        const other = it.makePod("other", "/bin/catatonit -P", ...options);
        it.run("container", "restore", "--import", archive, "--pod", other, "--name", "guest");
        await it.countsTo("guest", count + 1);
        expect(spaces("guest")).toEqual(spaces(infra(other)));
        expect(spaces("guest")).not.toEqual(spaces(infra(pod)));
      },
      LONG,
    );

  test(
    "--keep, --print-stats",
    async () => {
      const it = engine();
      it.start("kept", COUNT, "--network", "host");
      await it.countsTo("kept", 3);
      const dumped = it.run("container", "checkpoint", "--keep", "--print-stats", "kept");
      const ofDump = JSON.parse(dumped).container_statistics[0].criu_statistics;
      expect(ofDump.frozen_time).toBeGreaterThan(0);
      expect(ofDump.pages_written).toBeGreaterThan(0);
      const restored = it.run("container", "restore", "--keep", "--print-stats", "kept");
      const ofRestore = JSON.parse(restored).container_statistics[0].criu_statistics;
      expect(ofRestore.restore_time).toBeGreaterThan(0);
      expect(ofRestore.pages_restored).toBeGreaterThan(0);
      const dir = it.run("inspect", "-f", "{{.StaticDir}}", "kept");
      expect(readFileSync(join(dir, "dump.log"), "utf8")).toContain("post-dump");
      expect(statSync(join(dir, "checkpoint/inventory.img")).size).toBeGreaterThan(0);
    },
    LONG,
  );
});
