/** Descriptors of a real process: looked at, written to images, and made again in a bare process. */

import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { FdTypes, type FileEntry, RemapType } from "../images/schema/generated/files.ts";
import { close, pidfdOpen } from "../linux/io.ts";
import { SAME_OWNERS } from "../linux/owners.ts";
import { OUR_MOUNTS, OUR_PATHS } from "../linux/path-at.ts";
import { hostPid, nsPid, sameHost, sameNumber } from "../linux/pid.ts";
import { readMaps, readProcess, readSmaps } from "../linux/proc.ts";
import { onlyOurNet } from "../namespaces/net/dump.ts";
import { OUR_NET } from "../namespaces/net/restore.ts";
import { noLock } from "../namespaces/network-lock.ts";
import { DumpStats } from "../stats.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import { spawnRoot } from "../tracee/build/spawn-root.ts";
import type { Dumpee } from "../tracee/enter/dumpee.ts";
import { enterAll, leaveAll } from "../tracee/enter/enter.ts";
import type { Entered } from "../tracee/enter/entered.ts";
import { saveThreads } from "../tracee/enter/saved.ts";
import { FrozenTree } from "../tracee/hold/freeze.ts";
import { Area, BULK, spansOf } from "../tracee/table/area.ts";
import { Undo } from "../undo/undo.ts";
import { FilesDump } from "./dump.ts";
import type { FilesDumpOptions, FilesRestoreOptions } from "./kind.ts";
import { FilesRestore } from "./restore.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: descriptors of other processes are for root");

const dirs: string[] = [];
const pids: number[] = [];
const FILES_ID = 2;
const OPTIONS: FilesDumpOptions = {
  forceIrmap: false,
  irmapScanPath: [],
  shellJob: false,
  orphanPtsMaster: false,
  fileLocks: false,
  skipFileRwxCheck: false,
  external: [],
  extUnixSk: undefined,
  ghostLimit: 1 << 20,
  linkRemap: false,
  evasiveDevices: false,
  fileValidation: "buildid",
  tcpEstablished: false,
  tcpClose: false,
  skipInFlight: false,
};
const TREE = {
  hostOf: sameHost,
  processOf: () => undefined,
  owners: SAME_OWNERS,
  livesIn: () => undefined,
  nets: OUR_NET,
  withNumbers: <T>(act: () => T) => act(),
};

function restoreOptions(inheritFd: readonly string[] = []): FilesRestoreOptions {
  return {
    inheritFd,
    fileValidation: "buildid",
    skipFileRwxCheck: false,
    shellJob: false,
    tcpEstablished: false,
    tcpClose: false,
    extUnixSk: undefined,
  };
}
const FOWN = { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: nsPid(0) };

afterEach(() => {
  for (const pid of pids.splice(0)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "criu-ts-files-"));
  dirs.push(dir);
  mkdirSync(join(dir, "work"));
  mkdirSync(join(dir, "images"));
  return dir;
}

/** A shell that does what `script` says in the directory, and then waits. */
async function shell(dir: string, script: string): Promise<Bun.Subprocess> {
  const work = join(dir, "work");
  const child = Bun.spawn(["bash", "-c", `${script}\n: > ${dir}/ready; exec sleep 1000`], {
    cwd: work,
    stdio: ["ignore", "ignore", "ignore"],
  });
  pids.push(child.pid);
  while (!readdirSync(dir).includes("ready")) await Bun.sleep(2);
  // Asleep, not still loading: in clock_nanosleep(2).
  while (!readFileSync(`/proc/${child.pid}/syscall`, "utf8").startsWith("230 ")) await Bun.sleep(2);
  return child;
}

/** What /proc shows of descriptors: where they lead, offset and flags; numbers of inodes and mounts are left out. */
function descriptors(pid: number, but?: number): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    if (Number(fd) === but) continue;
    const link = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/^pipe:\[\d+\]$/, "pipe");
    const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8").replace(
      /(ino|mnt_id|eventfd-id):.*\n/g,
      "",
    );
    shown[fd] = `${link}\n${info}`;
  }
  return shown;
}

/** Freezes a process, dumps its files, and lets it run on. */
function dumpFiles(child: number, images: ImageDir, options: Partial<FilesDumpOptions> = {}): void {
  const pid = hostPid(child);
  const tree = FrozenTree.freeze(pid);
  const [carrier] = tree.root.threads;
  if (carrier === undefined) throw new Error("no thread");
  const mappings = readSmaps(pid);
  using undo = new Undo();
  const files = new FilesDump({
    images,
    options: { ...OPTIONS, ...options },
    undo,
    mounts: OUR_MOUNTS,
    network: { lock: noLock, leaves: true, namespaces: onlyOurNet(2) },
    namespaces: { find: () => undefined },
    stats: new DumpStats(),
    tasks: {
      living: [pid],
      has: (task) => task === pid,
      numberOf: sameNumber,
      bearInTree: (bear) => bear(),
      owners: SAME_OWNERS,
      ownersHere: SAME_OWNERS,
    },
  });
  const pidfd = pidfdOpen(pid);
  const entered: Entered[] = [];
  try {
    const [saved] = saveThreads(pid, [carrier]);
    if (saved === undefined) throw new Error("nothing saved");
    const thread = { task: carrier, saved };
    const request = { carrier: thread, threads: [thread], maps: mappings, vm: 2, sighand: 2 };
    const [inside] = enterAll([request], entered);
    if (inside === undefined) throw new Error("not inside");
    const ids = { vm: 2, files: FILES_ID, fs: 2, sighand: 2 };
    const dumpee: Dumpee = {
      pid,
      numberOf: sameNumber,
      nestedOf: () => [],
      owners: SAME_OWNERS,
      frozen: tree.root,
      ids,
      mappings,
      pidfd,
      entered: inside,
      proc: readProcess(pid),
      table: inside.table,
    };
    files.dumpProcess(dumpee);
    files.finish();
    undo.commit();
  } catch (error) {
    files.abort();
    throw error;
  } finally {
    leaveAll(entered, (_, error) => {
      throw error;
    });
    close(pidfd);
    tree.release();
  }
}

/** Makes a bare process of the pid with the files of the images; the number of our pidfd in it. */
function restoreFiles(pid: number, images: ImageDir, inheritFd: string[] = []): number {
  using undo = new Undo();
  const files = new FilesRestore({
    images,
    options: restoreOptions(inheritFd),
    undo,
    mounts: OUR_PATHS,
    tables: new Set([FILES_ID]),
    tree: TREE,
  });
  const taken = files.descriptorNumbers();
  let service = 0;
  while (taken.has(service)) service++;
  const area = Area.place(spansOf(readMaps(hostPid(process.pid))), 1, BULK.RESTORE);
  const restoree = spawnRoot({ number: nsPid(pid), area, pidfdNumber: service });
  pids.push(pid);
  try {
    files.restoreTable(restoree, FILES_ID);
    files.fs.give(restoree, nsPid(pid));
    restoree.table.run();
    files.finish();
    undo.commit();
    files.close();
  } catch (error) {
    files.close();
    throw error;
  }
  return service;
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGKILL");
  await child.exited;
}

describe.if(isRoot)("a process has its descriptors again", () => {
  const scripts: Record<string, string> = {
    "files and directories": `echo 123456789 > f; exec 3<f 4>>f 5<>f 6<.; read -n 3 <&3; echo x >&5`,
    "one description, three numbers": "echo abc > f; exec 3<f 4<&3 9<&3; read -n 2 <&4",
    "numbers far apart": "echo abc > f; exec 20<f 21<f 40<f 10>/dev/null 7<&20",
    "many files": `for i in {3..99}; do echo $i > f$i; eval "exec $i<>f$i"; read -n 1 <&$i; done`,
    "deleted ones": "echo one > a; ln a b; exec 3<>a 4<>b 5<.; rm a b; mkdir d; cd d; exec 6<.; rmdir ../d",
    "deleted with holes": "echo x > s; truncate -s 500000 s; echo end >> s; exec 3<>s; rm s",
    devices: "exec 3</dev/zero 4>/dev/full 5<>/dev/null",
    pipes: "exec 3<> <(:); exec 4> >(cat > ../out); echo content >&3",
    FIFOs: "mkfifo p q; exec 3<>p 4<>q; echo in it >&3; rm q; echo gone >&4",
    "names that are no text": `echo x > $'\\xff\\n'; exec 3<$'\\xff\\n' 4<>$'\\xfe (deleted)'; rm $'\\xff\\n'`,
    "another umask and directory": "umask 0137; mkdir -p x/y; cd x/y",
  };
  for (const [name, script] of Object.entries(scripts)) {
    test(name, async () => {
      const dir = newDir();
      const images = ImageDir.create(join(dir, "images"));
      const child = await shell(dir, script);
      const { pid } = child;
      const before = descriptors(pid);
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      const umask = /^Umask.*$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[0];
      dumpFiles(pid, images);
      expect(descriptors(pid)).toEqual(before);
      const names = readdirSync(join(dir, "work"), { recursive: true }).sort();
      await end(child);
      const service = restoreFiles(pid, images);
      expect(descriptors(pid, service)).toEqual(before);
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(cwd);
      expect(/^Umask.*$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[0]).toBe(umask);
      expect(readdirSync(join(dir, "work"), { recursive: true }).sort()).toEqual(names);
    });
  }

  test("what a deleted file and a FIFO held is there", async () => {
    const dir = newDir();
    const images = ImageDir.create(join(dir, "images"));
    const child = await shell(
      dir,
      "echo deleted > a; exec 3<>a; rm a; mkfifo p; exec 4<>p; echo waiting >&4",
    );
    dumpFiles(child.pid, images);
    await end(child);
    restoreFiles(child.pid, images);
    expect(readFileSync(`/proc/${child.pid}/fd/3`, "utf8")).toBe("deleted\n");
    const reader = Bun.spawnSync(["head", "-n", "1", `/proc/${child.pid}/fd/4`]);
    expect(reader.stdout.toString()).toBe("waiting\n");
  });

  test("a name that was lost, with --link-remap", async () => {
    const dir = newDir();
    const images = ImageDir.create(join(dir, "images"));
    const work = join(dir, "work");
    const child = await shell(dir, "echo x > a; ln a b; exec 3<>a; rm a");
    expect(() => dumpFiles(child.pid, images)).toThrow(
      `process ${child.pid}: descriptor 3: ${work}/a was removed while the file has other names`,
    );
    dumpFiles(child.pid, images, { linkRemap: true });
    expect(readdirSync(work).filter((name) => name.startsWith("link_remap."))).toHaveLength(1);
    await end(child);
    restoreFiles(child.pid, images);
    expect(readlinkSync(`/proc/${child.pid}/fd/3`)).toBe(`${work}/a (deleted)`);
    expect(readdirSync(work)).toEqual(["b"]);
  });
});

describe.if(isRoot)("what cannot be dumped", () => {
  test("is named, and no name stays that was given", async () => {
    const dir = newDir();
    const images = ImageDir.create(join(dir, "images"));
    const child = await shell(dir, "echo x > a; ln a b; exec 3<>a; rm a; exec 4<>/dev/fuse");
    expect(() => dumpFiles(child.pid, images, { linkRemap: true })).toThrow(
      `process ${child.pid}: descriptor 4: the character device 10:229, whose state nobody can tell (/dev/fuse) cannot be dumped yet`,
    );
    expect(readdirSync(join(dir, "work"))).toEqual(["b"]);
  });

  test("a deleted file beyond the limit", async () => {
    const dir = newDir();
    const child = await shell(dir, "head -c 100000 /dev/urandom > a; exec 3<a; rm a");
    expect(() => dumpFiles(child.pid, ImageDir.create(join(dir, "images")), { ghostLimit: 4096 })).toThrow(
      /descriptor 3: .*work\/a, which is deleted, takes \d+ bytes; --ghost-limit allows 4096/,
    );
  });

  test("a locked file", async () => {
    const dir = newDir();
    const child = await shell(dir, "exec 3>a; flock -x 3");
    expect(() => dumpFiles(child.pid, ImageDir.create(join(dir, "images")))).toThrow(
      /descriptor 3: .*work\/a is locked \(1: FLOCK +ADVISORY +WRITE/,
    );
  });
});

describe.if(isRoot)("a failed restore", () => {
  test("leaves no ghost, and keeps what another try needs", async () => {
    const dir = newDir();
    const images = ImageDir.create(join(dir, "images"));
    const work = join(dir, "work");
    const child = await shell(
      dir,
      "echo x > a; ln a b; exec 3<>a; rm a; echo y > c; exec 4<>c; rm c; echo z > d; exec 5<d",
    );
    dumpFiles(child.pid, images, { linkRemap: true });
    await end(child);
    const names = readdirSync(work);
    rmSync(join(work, "d"));
    expect(() => restoreFiles(child.pid, images)).toThrow(/files\.img: file \d+: .*work\/d: openat: ENOENT/);
    expect(readdirSync(work)).toEqual(names.filter((name) => name !== "d"));
  });

  test("tells a file that is another one now", async () => {
    const dir = newDir();
    const images = ImageDir.create(join(dir, "images"));
    const child = await shell(dir, "echo 12345 > a; exec 3<a");
    dumpFiles(child.pid, images);
    await end(child);
    writeFileSync(join(dir, "work/a"), "longer than it was");
    expect(() => restoreFiles(child.pid, images)).toThrow(
      /work\/a: it is not what was dumped: 18 bytes where it had 6/,
    );
  });

  test("tells permissions that are others now, unless told not to", async () => {
    const dir = newDir();
    const images = ImageDir.create(join(dir, "images"));
    const child = await shell(dir, "echo 12345 > a; chmod 600 a; exec 3<a");
    dumpFiles(child.pid, images);
    await end(child);
    chmodSync(join(dir, "work/a"), 0o644);
    expect(() => restoreFiles(child.pid, images)).toThrow(
      /work\/a: it is not what was dumped: mode 0100644 where it was 0100600/,
    );
    const options = { ...restoreOptions(), skipFileRwxCheck: true };
    using undo = new Undo();
    const files = new FilesRestore({
      images,
      options,
      undo,
      mounts: OUR_PATHS,
      tables: new Set([FILES_ID]),
      tree: TREE,
    });
    const shared = images.readAll(IMAGES.files).filter(({ reg }) => reg?.name.endsWith("work/a"));
    for (const { id } of shared) closeSync(files.openForMapping(id, false));
    files.close();
    expect(shared.length).toBe(1);
  });
});

describe("images that lie", () => {
  const reg = (id: number, name = "/dev/null", flags = 0): FileEntry => ({
    type: FdTypes.REG,
    id,
    reg: { id, flags, pos: 0n, fown: FOWN, name, build_id: [] },
  });
  const descriptor = (fd: number, id: number, type: FdTypes = FdTypes.REG) => ({ id, flags: 0, type, fd });
  const nobody = { pid: 0, ourPidfd: 99 } as Restoree;

  function restore(write: (images: ImageDir) => void): () => void {
    const images = ImageDir.create(join(newDir(), "images"));
    write(images);
    return () => {
      using undo = new Undo();
      const files = new FilesRestore({
        images,
        options: restoreOptions(),
        undo,
        mounts: OUR_PATHS,
        tables: new Set([FILES_ID]),
        tree: TREE,
      });
      try {
        files.restoreTable(nobody, FILES_ID);
      } finally {
        files.close();
      }
    };
  }

  test("a descriptor of no file", () => {
    expect(restore((images) => images.writeAll(IMAGES.fdinfo, [descriptor(0, 7)], FILES_ID))).toThrow(
      "fdinfo-2.img: descriptor 0: there is no file 7 in files.img",
    );
  });

  test("a file that is there twice", () => {
    expect(restore((images) => images.writeAll(IMAGES.files, [reg(1), reg(1)]))).toThrow(
      "files.img: file 1 is there twice",
    );
  });

  test("a descriptor that is there twice", () => {
    const table = [descriptor(4, 1), descriptor(4, 1)];
    expect(restore((images) => images.writeAll(IMAGES.fdinfo, table, FILES_ID))).toThrow(
      "fdinfo-2.img: descriptor 4 is there twice",
    );
  });

  test("a kind that differs", () => {
    expect(
      restore((images) => {
        images.writeAll(IMAGES.files, [reg(1)]);
        images.writeAll(IMAGES.fdinfo, [descriptor(0, 1, FdTypes.PIPE)], FILES_ID);
      }),
    ).toThrow("fdinfo-2.img: descriptor 0: file 1 is of kind 2 here and of kind 1 in files.img");
  });

  test("a kind without its part", () => {
    expect(
      restore((images) => {
        images.writeAll(IMAGES.files, [{ type: FdTypes.EVENTFD, id: 1 }]);
        images.writeAll(IMAGES.fdinfo, [descriptor(0, 1, FdTypes.EVENTFD)], FILES_ID);
      }),
    ).toThrow("files.img: file 1 is no eventfd");
  });

  test("a name that is another file's: it stays", () => {
    const dir = newDir();
    const path = join(dir, "work/precious");
    writeFileSync(path, "x");
    const images = ImageDir.create(join(dir, "images"));
    images.writeAll(IMAGES.files, [reg(1, join(dir, "work/gone")), reg(2, path)]);
    images.writeAll(IMAGES.remap_fpath, [{ orig_id: 1, remap_id: 2, remap_type: RemapType.LINKED }]);
    using undo = new Undo();
    const files = new FilesRestore({
      images,
      options: restoreOptions(),
      undo,
      mounts: OUR_PATHS,
      tables: new Set([FILES_ID]),
      tree: TREE,
    });
    files.openForMapping(1, false);
    files.finish();
    undo.commit();
    undo.finish();
    expect(readdirSync(join(dir, "work"))).toEqual(["precious"]);
  });

  test("a file that is said to be made and emptied is neither", () => {
    const dir = newDir();
    const there = join(dir, "work/there");
    writeFileSync(there, "content");
    const images = ImageDir.create(join(dir, "images"));
    const O_CREAT_TRUNC_RDWR = 0o1102;
    images.writeAll(IMAGES.files, [
      reg(1, there, O_CREAT_TRUNC_RDWR),
      reg(2, join(dir, "work/new"), O_CREAT_TRUNC_RDWR),
    ]);
    for (const id of [1, 2]) {
      images.writeAll(IMAGES.fdinfo, [descriptor(0, id)], FILES_ID);
      using undo = new Undo();
      const files = new FilesRestore({
        images,
        options: restoreOptions(),
        undo,
        mounts: OUR_PATHS,
        tables: new Set([FILES_ID]),
        tree: TREE,
      });
      expect(() => files.restoreTable(nobody, FILES_ID)).toThrow();
      files.close();
    }
    expect(readFileSync(there, "utf8")).toBe("content");
    expect(readdirSync(join(dir, "work"))).toEqual(["there"]);
  });
});
