/** Containers of runc, with us as the only `criu` that it finds: saved, gone, and back, twice over, as they were. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { basename, join } from "node:path";
import { peerTool } from "../harness/tool.ts";
import { freePort } from "../servers/port.ts";
import { COUNT, countOf, lacking, lastCount, Scratch } from "./bundle.ts";
import { Lines } from "./lines.ts";
import { RuncContainer, type Spec } from "./runc.ts";
import { networkOf, stateOf } from "./state.ts";

const why = lacking("runc", "nsenter", "flock");
if (why !== "") console.log(`skipped: containers of runc: ${why}`);
const LONG = 120_000;

/** We yield to others: what we restore must not inherit that, in a user namespace neither. */
const scratch = why === "" ? new Scratch(false, 4) : undefined;
afterAll(() => scratch?.remove());

const runId = `criu-ts-${process.pid}`;

function without(spec: Spec, type: string): void {
  spec.linux.namespaces = spec.linux.namespaces.filter((namespace) => namespace.type !== type);
}

function counting(spec: Spec): void {
  spec.process.args = ["sh", "-c", COUNT];
  without(spec, "network");
}

async function withContainer(
  name: string,
  change: (spec: Spec) => void,
  use: (container: RuncContainer) => Promise<void>,
  extra: readonly string[] = [],
): Promise<void> {
  if (scratch === undefined) return;
  const container = new RuncContainer(scratch, `${runId}-${name}`, change, extra);
  try {
    await use(container);
  } finally {
    container.end();
  }
}

/** Saves a container that counts and brings it back, twice: it goes on where it was, with all that it had. */
async function twice(container: RuncContainer, ...options: string[]): Promise<void> {
  const file = join(container.root, "data/count");
  let count = await countOf(file, 3);
  const before = stateOf(container.pid);
  for (const round of [1, 2]) {
    container.checkpoint(round, ...options);
    expect(container.state()?.status ?? "gone").not.toBe("running");
    const saved = await countOf(file, count);
    await Bun.sleep(200);
    expect(await countOf(file, 0)).toBe(saved);
    container.restore(round, ...options);
    // The next number comes next: it has neither started anew nor done anything twice.
    count = await countOf(file, saved + 1);
    expect(count).toBeLessThan(saved + 100);
    expect(stateOf(container.pid)).toEqual(before);
    expect(container.execute("cat", "/proc/1/comm")).toBe("sh\n");
  }
}

const shapes: Record<string, (spec: Spec) => void> = {
  "as runc makes it by itself, with the machine's network": () => {},
  "a control group namespace": (spec) => spec.linux.namespaces.push({ type: "cgroup" }),
  "bind mounts of directories and files, a tmpfs, a root that is read-only": (spec) => {
    const source = scratch?.at("volume") ?? "";
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, "file"), "content\n");
    symlinkSync("file", join(source, "link"));
    spec.mounts.push(
      { destination: "/mnt", type: "bind", source, options: ["rbind", "ro"] },
      { destination: "/etc/file", type: "bind", source: join(source, "file"), options: ["bind"] },
      { destination: "/etc/link", type: "bind", source: join(source, "link"), options: ["bind"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m", "mode=1777"] },
    );
  },
  "another user, groups, limits of memory and processes, a filter of system calls": (spec) => {
    spec.process.user = { uid: 1000, gid: 1000, additionalGids: [5, 7] };
    spec.linux.resources = { memory: { limit: 64 << 20 }, cpu: { shares: 512 }, pids: { limit: 50 } };
    spec.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [{ names: ["keyctl", "personality"], action: "SCMP_ACT_ERRNO" }],
    };
  },
};

describe.skipIf(why !== "")("runc", () => {
  for (const [index, [name, change]] of Object.entries(shapes).entries()) {
    test(
      name,
      () =>
        withContainer(
          `shape${index}`,
          (spec) => {
            counting(spec);
            change(spec);
          },
          async (container) => {
            container.start();
            await twice(container, "--file-locks", "--tcp-established", "--ext-unix-sk");
          },
        ),
      LONG,
    );
  }

  test(
    "a user namespace",
    () =>
      withContainer(
        "user",
        (spec) => {
          counting(spec);
          spec.linux.namespaces.push({ type: "user" }, { type: "network" });
          spec.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
          spec.linux.gidMappings = spec.linux.uidMappings;
        },
        async (container) => {
          for (const name of ["", ...readdirSync(container.root)])
            chownSync(join(container.root, name), 100_000, 100_000);
          container.start();
          await twice(container);
          expect(statSync(join(container.root, "data/count")).uid).toBe(100_000);
        },
      ),
    LONG,
  );

  test(
    "--leave-running, and the same container from those images when it has ended",
    () =>
      withContainer("running", counting, async (container) => {
        const file = join(container.root, "data/count");
        container.start();
        await countOf(file, 3);
        const { pid } = container;
        container.checkpoint(1, "--leave-running");
        expect(container.pid).toBe(pid);
        const later = await countOf(file, lastCount(readFileSync(file, "utf8")) + 20);
        container.end();
        container.restore(1);
        await countOf(file, 1);
        await Bun.sleep(200);
        // It goes on from where it was saved, which is before the point that it has got to since.
        expect(lastCount(readFileSync(file, "utf8"))).toBeLessThan(later);
        await countOf(file, later + 1);
      }),
    LONG,
  );

  test(
    "its output goes on in a pipe of the restore, no line lost and none twice",
    () =>
      withContainer("pipes", counting, async (container) => {
        const file = join(container.root, "data/count");
        const start = (...words: string[]) =>
          Bun.spawn(container.words(...words), {
            cwd: join(container.root, ".."),
            env: container.scratch.environment,
            stdio: ["ignore", "pipe", "ignore"],
          });
        const first = start("run", container.id);
        await countOf(file, 3);
        container.checkpoint(1);
        const printed = await new Response(first.stdout).text();
        await first.exited;
        const saved = await countOf(file, 3);
        const second = start(...container.restoreWords(1));
        await countOf(file, saved + 5);
        Bun.spawnSync(container.words("kill", container.id, "KILL"));
        const rest = await new Response(second.stdout).text();
        await second.exited;
        const lines = (printed + rest).split("\n").filter(Boolean).map(Number);
        expect(lines.length).toBeGreaterThan(saved);
        expect(lines).toEqual(lines.map((_, i) => i + 1));
      }),
    LONG,
  );

  test(
    "locks of files (--file-locks), without which a dump refuses, and leaves the container as it was",
    () =>
      withContainer(
        "locks",
        (spec) => {
          counting(spec);
          spec.process.args = ["flock", "/data/lock", ...spec.process.args];
        },
        async (container) => {
          const file = join(container.root, "data/count");
          const held = () =>
            Bun.spawnSync(["flock", "-n", join(container.root, "data/lock"), "true"]).exitCode !== 0;
          container.start();
          await countOf(file, 3);
          expect(held()).toBe(true);
          const before = stateOf(container.pid);
          expect(() => container.checkpoint("refused")).toThrow("--file-locks");
          expect(stateOf(container.pid)).toEqual(before);
          const saved = await countOf(file, (await countOf(file, 0)) + 5);
          container.checkpoint(1, "--file-locks");
          expect(held()).toBe(false);
          container.restore(1, "--file-locks");
          expect(stateOf(container.pid)).toEqual(before);
          expect(held()).toBe(true);
          await countOf(file, saved + 5);
        },
        ["flock"],
      ),
    LONG,
  );

  test(
    "a process that was put into it later is not of its tree: the log says so",
    () =>
      withContainer("later", counting, async (container) => {
        container.start();
        container.run("exec", "-d", container.id, "sleep", "1000");
        const other = readFileSync(`/proc/${container.pid}/cgroup`, "utf8");
        expect(other).toContain(container.id);
        container.checkpoint(1, "--leave-running");
        expect(container.log("dump")).toMatch(/process \d+ is in .*, but not in the tree: it is not saved/);
        expect(container.execute("ps")).toContain("sleep 1000");
      }),
    LONG,
  );

  test(
    "a configuration by annotation (org.criu.config)",
    () => {
      const config = scratch?.at("criu.conf") ?? "";
      writeFileSync(config, "# What runc is not told.\nfile-locks\n");
      const change = (spec: Spec) => {
        counting(spec);
        spec.process.args = ["flock", "/data/lock", ...spec.process.args];
        spec.annotations = { "org.criu.config": config };
      };
      return withContainer(
        "annotation",
        change,
        async (container) => {
          container.start();
          const count = await countOf(join(container.root, "data/count"), 3);
          container.checkpoint(1);
          container.restore(1);
          await countOf(join(container.root, "data/count"), count + 3);
        },
        ["flock"],
      );
    },
    LONG,
  );

  test(
    "--pre-dump, twice, and a checkpoint of what has changed",
    () =>
      withContainer("pre-dump", counting, async (container) => {
        container.start();
        const file = join(container.root, "data/count");
        const count = await countOf(file, 3);
        const before = stateOf(container.pid);
        container.checkpoint("first", "--pre-dump");
        const parent = (name: string) => `../${basename(container.images(name))}`;
        container.checkpoint("second", "--pre-dump", "--parent-path", parent("first"));
        expect(stateOf(container.pid)).toEqual(before);
        await countOf(file, count + 3);
        container.checkpoint(1, "--parent-path", parent("second"));
        expect(readlinkSync(join(container.images(1), "parent"))).toBe(parent("second"));
        container.restore(1);
        await countOf(file, count + 5);
      }),
    LONG,
  );

  test.skipIf(Bun.which("python3") === null)(
    "a terminal, which a new client of the console socket gets at the restore",
    () => {
      const shell = (spec: Spec) => {
        counting(spec);
        spec.process.terminal = true;
        spec.process.args = ["sh", "-c", "while read line; do echo got $line; done"];
      };
      return withContainer("terminal", shell, async (container) => {
        const socket = container.scratch.at("console");
        const client = Bun.spawn(["python3", join(import.meta.dir, "console.py"), socket], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        const lines = new Lines(client.stdout);
        try {
          expect(await lines.next()).toBe("ready");
          container.start("--console-socket", socket);
          expect(await lines.until("got 1")).toContain("terminal 1");
          container.checkpoint(1);
          await lines.until("closed");
          container.restore(1, "--console-socket", socket);
          expect(await lines.until("got 2")).toContain("terminal 2");
        } finally {
          client.kill();
          await client.exited;
        }
      });
    },
    LONG,
  );

  test(
    "a connection from outside waits, and goes on (--tcp-established)",
    async () => {
      const port = await freePort();
      const serving = (spec: Spec) => {
        without(spec, "network");
        spec.process.args = ["nc", "-ll", "-p", String(port), "-e", "cat"];
      };
      await withContainer("tcp", serving, async (container) => {
        container.start();
        const socket = await connected(port);
        try {
          expect(await echoed(socket, "before\n")).toBe("before\n");
          container.checkpoint(1, "--tcp-established");
          const answer = echoed(socket, "meanwhile\n");
          container.restore(1, "--tcp-established");
          expect(await answer).toBe("meanwhile\n");
          expect(await echoed(socket, "after\n")).toBe("after\n");
        } finally {
          socket.destroy();
        }
      });
    },
    LONG,
  );

  test.skipIf(Bun.which("ip") === null)(
    "a network namespace of its own, in which it talks to itself over a connection that stays",
    () => {
      const server = "nc -ll -p 80 -e cat &";
      const loop = "while read n; do n=$((n+1)); echo $n >> /data/count; echo $n; sleep 0.05; done";
      const change = (spec: Spec) => {
        spec.process.args = ["sh", "-c", `${server} sleep 0.5; nc 127.0.0.1 80 -e /bin/loop`];
      };
      return withContainer("own-network", change, async (container) => {
        writeFileSync(join(container.root, "bin/loop"), `#!/bin/sh\necho 1\n${loop}\n`, { mode: 0o755 });
        const file = join(container.root, "data/count");
        container.start();
        let count = await countOf(file, 3);
        const before = networkOf(container.pid);
        for (const round of [1, 2]) {
          container.checkpoint(round, "--tcp-established");
          container.restore(round, "--tcp-established");
          count = await countOf(file, count + 10);
          expect(networkOf(container.pid)).toEqual(before);
        }
      });
    },
    LONG,
  );

  test.skipIf(Bun.which("ip") === null)(
    "a network namespace of somebody else (external), which it lives in again",
    () => {
      const name = runId;
      expect(Bun.spawnSync(["ip", "netns", "add", name]).exitCode).toBe(0);
      Bun.spawnSync(["ip", "-n", name, "addr", "add", "10.99.0.1/32", "dev", "lo"]);
      const change = (spec: Spec) => {
        counting(spec);
        spec.linux.namespaces.push({ type: "network", path: `/run/netns/${name}` });
      };
      return withContainer("network", change, async (container) => {
        container.start();
        const before = networkOf(container.pid);
        const inode = () => statSync(`/proc/${container.pid}/ns/net`).ino;
        const own = inode();
        await twice(container);
        expect(inode()).toBe(own);
        expect(networkOf(container.pid)).toEqual(before);
      }).finally(() => Bun.spawnSync(["ip", "netns", "del", name]));
    },
    LONG,
  );
});

const peerless = peerTool() === undefined ? "CRIU_PEER names no CRIU" : "";
if (why === "" && peerless !== "") console.log(`skipped: exchanged with CRIU: ${peerless}`);

describe.skipIf(why + peerless !== "")("runc, with CRIU 4.2 on one side", () => {
  for (const ours of ["dump", "restore"]) {
    test(
      `the ${ours} is ours`,
      async () => {
        const both = [new Scratch(false, 4), new Scratch(true)];
        const [mine, theirs] = both.map(({ environment }) => environment.PATH ?? "");
        try {
          const change = (spec: Spec) => {
            spec.process.args = ["sh", "-c", COUNT];
            spec.linux.namespaces.push({ type: "cgroup" });
            spec.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m"] });
          };
          const [scratch] = both;
          if (scratch === undefined) return;
          const container = new RuncContainer(scratch, `${runId}-exchange-${ours}`, change);
          const file = join(container.root, "data/count");
          const use = (isOurs: boolean) => {
            scratch.environment.PATH = (isOurs ? mine : theirs) ?? "";
          };
          try {
            container.start();
            container.execute("sh", "-c", "echo kept > /tmp/kept");
            let count = await countOf(file, 3);
            for (const round of [1, 2]) {
              use(ours === "dump");
              container.checkpoint(round);
              use(ours === "restore");
              container.restore(round);
              count = await countOf(file, count + 3);
              expect(container.execute("cat", "/tmp/kept")).toBe("kept\n");
            }
          } finally {
            container.end();
          }
        } finally {
          for (const scratch of both) scratch.remove();
        }
      },
      LONG,
    );
  }
});

async function connected(port: number): Promise<Socket> {
  for (let i = 0; ; i++) {
    const socket = connect({ port, host: "127.0.0.1" });
    const ok = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (ok) return socket;
    if (i > 200) throw new Error(`nobody listens at ${port}`);
    await Bun.sleep(20);
  }
}

/** Sends a line and waits for it to come back. */
function echoed(socket: Socket, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once("data", (data: Buffer) => resolve(data.toString()));
    socket.once("close", () => reject(new Error("the connection has ended")));
    socket.write(line);
  });
}
