/**
 * Bad input: each is one clear line on standard error that names the thing, and the kernel's errno where there was one;
 * exit code 1; and nothing changed: a target runs on, a restore leaves no process and no file.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../src/images/image-dir.ts";
import { IMAGES } from "../src/images/kinds.ts";
import type { InetSkEntry, TcpStreamEntry } from "../src/images/schema/generated/sockets.ts";
import { buildFixtures } from "./harness/build.ts";
import { type Fixture, withFixture } from "./harness/fixture.ts";
import { lockRules, unlock } from "./harness/lock-rules.ts";
import { killAll, processState, processTree, readText, threadsOf, waitGone } from "./harness/processes.ts";
import { dump, ourTool } from "./harness/tool.ts";
import { listing, Witness } from "./harness/witness.ts";

const NOTHING = /$^/;
const place = mkdtempSync(join(tmpdir(), "criu-ts-bad-input-"));

beforeAll(
  () =>
    buildFixtures(["minimal", "pgrp_session", "file_regular", "file_deleted", "many_files", "tcp_urgent"]),
  120_000,
);
afterAll(() => rmSync(place, { recursive: true, force: true }));

interface Said {
  exitCode: number | null;
  lines: string[];
}

/** Runs the executable with its log on standard error, as it is without -o. */
function criu(...args: string[]): Said {
  const { exitCode, stderr } = Bun.spawnSync([...ourTool(), ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  return { exitCode, lines: stderr.toString().trim().split("\n") };
}

/** A restore; again where a process of somebody else's happens to have one of the numbers for a moment. */
function restoreOnceFree(...args: string[]): Said {
  for (let tries = 1; ; tries++) {
    const said = criu("restore", ...args);
    if (tries === 20 || !/clone3.*EEXIST$/.test(said.lines[0] ?? "")) return said;
    Bun.sleepSync(50);
  }
}

/** Exit code 1 and a single line, which says this. */
function expectRefusal(said: Said, words: RegExp): void {
  expect(said).toEqual({ exitCode: 1, lines: [expect.stringMatching(/^Error \([a-z/-]+\): /)] });
  expect(said.lines[0]).toMatch(words);
}

function emptyDir(): string {
  return mkdtempSync(join(place, "images-"));
}

describe("dump of a process that cannot be dumped", () => {
  /** Refused, with nothing written; where there was a dump before, it is whole still. */
  function refused(pid: number | string, words: RegExp): void {
    const dir = emptyDir();
    writeFileSync(join(dir, "inventory.img"), "of an older dump");
    const before = listing(dir, NOTHING);
    expectRefusal(criu("dump", "-t", String(pid), "-D", dir), words);
    expect(listing(dir, NOTHING)).toBe(before);
  }

  test("it is not there", () => {
    let absent = 30_000;
    while (existsSync(`/proc/${absent}`)) absent--;
    refused(absent, new RegExp(`process ${absent}, which is not there: ESRCH$`));
  });

  test("no pid has such a number", () => refused(2 ** 31 - 1, /process 2147483647.*ESRCH$/));
  test.each(["0", "-1", "abc", "1.5", "99999999999999999999"])("%p is no pid", (word) =>
    refused(word, new RegExp(`"${word}" for -t`)),
  );

  test("it is our parent", () =>
    refused(process.pid, new RegExp(`process ${process.pid}, an ancestor of ours: EDEADLK$`)));

  test("it is the first of all ancestors", () => refused(1, /process 1, .*: (EDEADLK|EPERM)$/));

  test("it is the tool itself", () => {
    // The shell becomes the tool, and keeps its pid.
    const dir = emptyDir();
    const words = ["sh", "-c", 'exec "$@" -t $$', "sh", ...ourTool(), "dump", "-D", dir];
    const { exitCode, stderr } = Bun.spawnSync(words, {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 20_000,
    });
    const lines = stderr.toString().trim().split("\n");
    expectRefusal({ exitCode, lines }, /process \d+, an ancestor of ours: EDEADLK$/);
  });

  test("it is a thread, not the first of its process", () =>
    withFixture("threads_tid", async (fixture) => {
      const witness = Witness.of(fixture);
      const tid = threadsOf(fixture.pid).find((each) => each !== fixture.pid) ?? 0;
      refused(tid, new RegExp(`process ${tid}, a thread of process ${fixture.pid}: EINVAL$`));
      expect((await witness.settled(500)).differences).toEqual([]);
      expect(await fixture.finish()).toBe("PASS");
    }));

  const kthread = readText("/proc/2/stat")?.startsWith("2 (kthreadd)") === true;
  if (!kthread) console.log("bad input: skipped: process 2 is no kernel thread here");
  test.skipIf(!kthread)("it is a kernel thread", () => refused(2, /process 2, a kernel thread: EPERM$/));

  test("it is a zombie", async () => {
    // The shell becomes a sleep, which does not wait for its child; it has a second for that.
    const child = Bun.spawn(["sh", "-c", "sleep 1 & echo $!; exec sleep 60"], { stdout: "pipe" });
    const { value } = await child.stdout.getReader().read();
    const zombie = Number(new TextDecoder().decode(value));
    while (processState(zombie) !== "Z") await Bun.sleep(5);
    try {
      const dir = emptyDir();
      expectRefusal(
        criu("dump", "-t", String(zombie), "-D", dir),
        new RegExp(`process ${zombie}.*zombie: ESRCH$`),
      );
      expect(readdirSync(dir)).toEqual([]);
      expect(processState(zombie)).toBe("Z");
      expect(processState(child.pid)).toBe("S");
    } finally {
      child.kill();
      await child.exited;
    }
  });
});

describe("dump into a directory that will not do", () => {
  const cases: [string, (dir: string) => string, RegExp][] = [
    ["is not there", (dir) => join(dir, "absent"), /images-dir .*absent: ENOENT$/],
    ["is a file", () => "/etc/passwd", /images-dir \/etc\/passwd is not a directory/],
    // Root may write wherever permissions forbid it, but not here.
    ["takes no files", () => "/proc", /\.img: cannot (write|create): (ENOENT|EACCES|EPERM)$/],
  ];
  test.each(cases)("%s", (_, dirOf, words) =>
    withFixture("minimal", async (fixture) => {
      const witness = Witness.of(fixture);
      expectRefusal(criu("dump", "-t", String(fixture.pid), "-D", dirOf(fixture.stateDir)), words);
      expect((await witness.settled(500)).differences).toEqual([]);
      expect(await fixture.finish()).toBe("PASS");
    }),
  );
});

test("dump into a directory of a file system that is read-only", () =>
  withFixture("minimal", async (fixture) => {
    const dir = emptyDir();
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "ro", "criu-ts-test", dir]);
    if (mounted.exitCode !== 0) {
      console.log(`bad input: skipped: mount: ${mounted.stderr.toString().trim()}`);
      return;
    }
    try {
      const witness = Witness.of(fixture);
      expectRefusal(criu("dump", "-t", String(fixture.pid), "-D", dir), /EROFS$/);
      expect((await witness.settled(500)).differences).toEqual([]);
      expect(await fixture.finish()).toBe("PASS");
    } finally {
      Bun.spawnSync(["umount", dir]);
    }
  }));

/** A dumped fixture whose images are changed again and again, and brought back in the end. */
class Dumped {
  private constructor(
    readonly fixture: Fixture,
    readonly images: string,
  ) {}

  static async of(fixture: Fixture): Promise<Dumped> {
    const images = emptyDir();
    const members = processTree(fixture.pid);
    const outcome = await dump(fixture.pid, images, { options: fixture.directives.dumpOptions });
    expect(outcome.errors.includes("Error") ? outcome.errors : "").toBe("");
    expect(await waitGone(members)).toEqual([]);
    return new Dumped(fixture, images);
  }

  /** A restore of a changed copy, which must be refused. */
  async refused(change: (dir: string) => void, words: RegExp, ...options: string[]): Promise<void> {
    const dir = emptyDir();
    cpSync(this.images, dir, { recursive: true });
    change(dir);
    await this.refusedFrom(dir, words, ...options);
  }

  async refusedFrom(dir: string, words: RegExp, ...options: string[]): Promise<void> {
    const { stateDir, seen } = this.fixture;
    const files = () => (isDirectory(dir) ? listing(dir, NOTHING) : "") + listing(stateDir, NOTHING);
    const before = files();
    expectRefusal(restoreOnceFree("-d", "-D", dir, ...options), words);
    expect(files()).toBe(before);
    // What it had made fell to us when its parents ended: dead by now, and ours to reap.
    expect(await waitGone([...seen].filter(isOurs), 2000)).toEqual([]);
  }

  /** After all that, what was dumped comes back and is whole. */
  async bringBack(): Promise<void> {
    const said = restoreOnceFree("-d", "-D", this.images, ...this.fixture.directives.restoreOptions);
    expect(said).toEqual({ exitCode: 0, lines: [""] });
    expect(await this.fixture.finish()).toBe("PASS");
  }

  file(dir: string, pattern: RegExp): string {
    const name = readdirSync(dir).find((each) => pattern.test(each));
    if (name === undefined) throw new Error(`no image ${pattern}`);
    return join(dir, name);
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Is a process a child of ours? A number may be somebody else's by now. */
function isOurs(pid: number): boolean {
  return readText(`/proc/${pid}/status`)?.includes(`PPid:\t${process.pid}\n`) === true;
}

function edit(path: string, change: (bytes: Buffer) => Uint8Array): void {
  writeFileSync(path, change(readFileSync(path)));
}

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  return bytes;
}

test(
  "restore from damaged images",
  () =>
    withFixture("pgrp_session", async (fixture) => {
      const dumped = await Dumped.of(fixture);
      const { pid } = fixture;
      const needed = [
        /^inventory/,
        /^pstree/,
        /^core-/,
        /^ids-/,
        /^mm-/,
        /^pagemap-\d/,
        /^pages-/,
        /^fs-/,
        /^fdinfo-/,
      ];
      for (const pattern of needed) {
        const name = dumped.file(dumped.images, pattern).split("/").at(-1) ?? "";
        const named = new RegExp(`${name.replace(/\d+/, "\\d+")}: `);
        const withErrno = new RegExp(`${named.source}.*ENOENT$`);
        // A process without files has no such image either.
        if (!/^fdinfo-/.test(name)) await dumped.refused((dir) => rmSync(join(dir, name)), withErrno);
        await dumped.refused(
          (dir) => edit(join(dir, name), (bytes) => bytes.subarray(0, bytes.length / 2)),
          named,
        );
        if (/^pages-/.test(name)) continue;
        await dumped.refused(
          (dir) => edit(join(dir, name), (bytes) => bytes.subarray(0, 0)),
          /: bad magic: none, wanted 0x/,
        );
        await dumped.refused(
          (dir) => edit(join(dir, name), (bytes) => flip(bytes, 0)),
          /: bad magic 0x.*, wanted 0x/,
        );
        // The size of the first message, made larger than the file.
        const sizeAt = name === "inventory.img" ? 4 : 8;
        await dumped.refused(
          (dir) => edit(join(dir, name), (bytes) => flip(bytes, sizeAt + 2)),
          /reaches beyond the file$/,
        );
        await dumped.refused(
          (dir) => {
            rmSync(join(dir, name));
            mkdirSync(join(dir, name));
          },
          new RegExp(`${named.source}.*not a regular file$`),
        );
      }
      // Magics of one kind of image in another.
      await dumped.refused(
        (dir) => cpSync(join(dir, `core-${pid}.img`), join(dir, `mm-${pid}.img`)),
        /^Error \(criu\): mm-\d+\.img: bad magic 0x54564319 0x55053847, wanted 0x54564319 0x57492820$/,
      );
      // Only bits of headers and messages are known to be wrong when they are flipped; see tests/fuzz.test.ts for the rest.
      await dumped.bringBack();
    }),
  120_000,
);

test(
  "restore from images that say what cannot be",
  () =>
    withFixture("minimal", async (fixture) => {
      const dumped = await Dumped.of(fixture);
      const { pid } = fixture;
      await dumped.refused(
        (dir) => {
          const images = ImageDir.open(dir);
          const core = images.readOne(IMAGES.core, pid);
          images.writeAll(IMAGES.core, [{ ...core, mtype: 3 }], pid);
        },
        new RegExp(`core-${pid}\\.img.*(AARCH64|architecture|mtype)`, "i"),
      );
      await dumped.refused((dir) => {
        const images = ImageDir.open(dir);
        images.commitInventory({ ...images.readOne(IMAGES.inventory), img_version: 3 });
      }, /inventory\.img: version 3 of the images, 2 is known$/);
      await dumped.refused(
        (dir) => {
          const images = ImageDir.open(dir);
          const [root] = images.readAll(IMAGES.pstree);
          if (root !== undefined) images.writeAll(IMAGES.pstree, [root, root]);
        },
        new RegExp(`pstree\\.img.*${pid}`),
      );
      await dumped.refusedFrom(join(place, "absent"), /--images-dir .*absent: ENOENT$/);
      await dumped.refusedFrom("/etc/passwd", /--images-dir \/etc\/passwd is not a directory$/);
      await dumped.refusedFrom(emptyDir(), /inventory\.img: .* holds no dump that came to its end: ENOENT$/);
      await dumped.bringBack();
    }),
  60_000,
);

/** Changes what the images say of the first connection with something urgent in it. */
function changeConnection(
  dir: string,
  change: Partial<TcpStreamEntry>,
  socket: Partial<InetSkEntry> = {},
): void {
  const images = ImageDir.open(dir);
  const files = images.readAll(IMAGES.files);
  for (const file of files) {
    const { isk } = file;
    if (isk === undefined || isk.dst_port === 0) continue;
    const [record] = images.reader(IMAGES.tcp_stream, isk.ino);
    if (record?.entry.urgent_at === undefined) continue;
    const payload = record.payload.bytes().slice();
    rmSync(join(dir, `tcp-stream-${isk.ino.toString(16)}.img`));
    using writer = images.writer(IMAGES.tcp_stream, isk.ino);
    writer.add({ ...record.entry, ...change }, payload);
    const changed = files.map((each) => (each === file ? { ...file, isk: { ...isk, ...socket } } : each));
    images.writeAll(IMAGES.files, changed);
    return;
  }
  throw new Error("nothing urgent is in any connection");
}

const [major = 0, minor = 0] = release().split(".").map(Number);
/** Before Linux 6.9 urgent data is refused. */
const carriesUrgent = major > 6 || (major === 6 && minor >= 9);

test.skipIf(!carriesUrgent)(
  "restore from images of connections that say what cannot be",
  () =>
    withFixture("tcp_urgent", async (fixture) => {
      const dumped = await Dumped.of(fixture);
      const refused = (words: RegExp, change: Partial<TcpStreamEntry>, socket?: Partial<InetSkEntry>) =>
        dumped.refused(
          (dir) => changeConnection(dir, change, socket),
          words,
          ...fixture.directives.restoreOptions,
        );
      const what = /files\.img: file \d+: a socket of protocol \d+, port \d+: /;
      const saying = (words: RegExp) => new RegExp(`${what.source}${words.source}`);
      try {
        await refused(saying(/5 of 0 bytes are not sent$/), { unsq_len: 5 });
        await refused(saying(/urgent data \(1\) at 5000 of \d+ bytes$/), { urgent_at: 5000 });
        await refused(saying(/urgent data \(7\) at \d+ of \d+ bytes$/), { urgent: 7 });
        await refused(saying(/setsockopt.*EFBIG$/), { rcv_wscale: 200 });
        await refused(saying(/setsockopt.*EINVAL$/), { max_window: 0, snd_wnd: 5 });
        await refused(saying(/state 77 is none of a connection$/), {}, { state: 77 });
        await refused(what, {}, { src_addr: [1, 2, 3] });
        await refused(what, {}, { family: 999 });
        expect(lockRules()).not.toEqual([]);
        await dumped.bringBack();
      } finally {
        unlock(dumped.images);
      }
    }),
  120_000,
);

/** Starts a process that has a child, and waits for the child a while after it has ended: never, if not told. */
function slowParent(...sleeps: string[]): Bun.Subprocess<"ignore", "pipe", "inherit"> {
  const script = [
    "import os, subprocess, sys, time",
    'child = subprocess.Popen(["sleep", "300"], start_new_session=True, stdout=subprocess.DEVNULL)',
    "print(child.pid, flush=True)",
    "os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)",
    "time.sleep(float(sys.argv[1]))",
    "child.wait()",
    "time.sleep(300)",
  ].join("\n");
  return Bun.spawn(["python3", "-c", script, ...sleeps], { stdio: ["ignore", "pipe", "inherit"] });
}

describe("restore of what has ended, but has not been waited for", () => {
  for (const [what, seconds] of [
    ["by a parent that is slow", "1.5"],
    ["by a parent that never does it", "300"],
  ] as const)
    test(what, async () => {
      const parent = slowParent(seconds);
      let pid = 0;
      try {
        const { value } = await parent.stdout.getReader().read();
        pid = Number(new TextDecoder().decode(value));
        const images = emptyDir();
        expect(criu("dump", "-t", String(pid), "-D", images).exitCode).toBe(0);
        const { exitCode, lines } = criu("restore", "-d", "-D", images);
        const refusal = `with pid ${pid}, which is in use by sleep, which has ended, but ${parent.pid} (python3) has not waited for it: EEXIST`;
        if (seconds === "300") {
          expect({ exitCode, lines }).toEqual({ exitCode: 1, lines: [expect.stringContaining(refusal)] });
          return;
        }
        expect({ exitCode, lines }).toEqual({ exitCode: 0, lines: [""] });
        expect(processState(pid)).toBe("S");
      } finally {
        parent.kill("SIGKILL");
        await parent.exited;
        await killAll([pid]);
      }
    }, 60_000);
});

test("restore where the pid is taken", () =>
  withFixture("minimal", async (fixture) => {
    const images = emptyDir();
    const witness = Witness.of(fixture);
    expect((await dump(fixture.pid, images, { options: ["-R"] })).ok).toBe(true);
    expectRefusal(
      criu("restore", "-d", "-D", images),
      new RegExp(`with pid ${fixture.pid}, which is in use by .*: EEXIST$`),
    );
    expect((await witness.settled(500)).differences).toEqual([]);
    expect(await fixture.finish()).toBe("PASS");
  }));

// One of a few, and one in the midst of a thousand that are opened together.
test.each(["file_regular", "many_files"])(
  "restore after a file has changed: %s",
  (name) =>
    withFixture(name, async (fixture) => {
      const dumped = await Dumped.of(fixture);
      const files = ImageDir.open(dumped.images).readAll(IMAGES.files);
      const paths = files.flatMap(({ reg }) => (reg?.size !== undefined && reg.size > 0n ? [reg.name] : []));
      const own = paths.filter((each) => each.startsWith(fixture.stateDir) && !each.endsWith("/printed"));
      const path = own[own.length >> 1];
      if (path === undefined) throw new Error("the fixture has no file of its own open");
      const aside = `${path}.aside`;
      const leaf = path.slice(path.lastIndexOf("/") + 1);
      const restoring = (words: string) => dumped.refused(() => {}, new RegExp(`/${leaf}: .*${words}`));

      renameSync(path, aside);
      const { mode } = files.find(({ reg }) => reg?.name === path)?.reg ?? {};
      await restoring("ENOENT$");
      writeFileSync(path, "something of quite another size");
      chmodSync(path, (mode ?? 0o644) & 0o7777);
      await restoring("not what was dumped: .*bytes where it had");
      rmSync(path);
      mkdirSync(path);
      await restoring("");
      rmSync(path, { recursive: true });
      renameSync(aside, path);
      await dumped.bringBack();
    }),
  60_000,
);

test("restore that fails makes no ghosts", () =>
  withFixture("file_deleted", async (fixture) => {
    const dumped = await Dumped.of(fixture);
    const ghost = /^ghost-file-/;
    await dumped.refused(
      (dir) => rmSync(dumped.file(dir, ghost)),
      /ghost-file-\w+\.img: cannot open: ENOENT$/,
    );
    await dumped.refused(
      (dir) => edit(dumped.file(dir, ghost), (bytes) => bytes.subarray(0, 20)),
      /ghost-file-\w+\.img: .*reaches beyond the file$/,
    );
    await dumped.bringBack();
  }));
