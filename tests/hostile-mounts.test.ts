/**
 * Images of a container that a stranger has made or changed: whatever they say, a restore reaches nothing outside of the root that it
 * is given, through names, links, mounts, archives or what it takes away, and mounts nothing that the options do not allow.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../src/images/image-dir.ts";
import { IMAGES, RAW_IMAGES } from "../src/images/kinds.ts";
import { FdTypes, RemapType } from "../src/images/schema/generated/files.ts";
import { Fstype, type MntEntry } from "../src/images/schema/generated/namespaces.ts";
import { GzipWriter } from "../src/namespaces/mounts/archive/gzip.ts";
import { TYPE } from "../src/namespaces/mounts/archive/tar-format.ts";
import { TarWriter } from "../src/namespaces/mounts/archive/tar-writer.ts";
import { adoptOrphans, childrenOf, killAll, readText } from "./harness/processes.ts";
import { dump, restore } from "./harness/tool.ts";
import { listing } from "./harness/witness.ts";

// What is restored is nobody else's to end.
adoptOrphans();
const scratch = mkdtempSync(join(tmpdir(), "criu-ts-hostile-"));
const root = join(scratch, "root");
const outside = join(scratch, "outside");
const images = join(scratch, "images");
const BUSYBOX = "/usr/bin/busybox";
const missing = existsSync(BUSYBOX) ? undefined : `${BUSYBOX} is not there`;
/** Paths in the root: a link that leads out of it by an absolute path, one that goes up. */
const LINKS = ["/evil", "/up"];

const SCRIPT = `
mount --bind "$1" "$1" && cd "$1"
mount -t tmpfs -o size=1m given mnt && echo inside > mnt/file
mount --bind mnt bound
pivot_root . old && exec /bin/busybox sh -c '
/bin/busybox umount -l /old; exec 0</file 1>>/log 2>&1; exec 3<>/mnt/file
echo > /ready; exec /bin/busybox sleep 300'
`;

/** The number of the only process in the images. */
const pid = 1;
const pidfile = join(scratch, "pid");

/** Ours, of what was restored. */
function restored(): number {
  return Number(readText(pidfile));
}

beforeAll(async () => {
  if (missing !== undefined) return;
  for (const dir of ["bin", "mnt", "bound", "old", "sub"]) mkdirSync(join(root, dir), { recursive: true });
  mkdirSync(join(outside, "dir"), { recursive: true });
  writeFileSync(join(outside, "secret"), "secret");
  writeFileSync(join(outside, "link_remap.7"), "not yours");
  cpSync(BUSYBOX, join(root, "bin/busybox"));
  writeFileSync(join(root, "file"), "text");
  symlinkSync(outside, join(root, "evil"));
  symlinkSync(`../../../../../../../..${outside}`, join(root, "up"));
  // In a pid namespace: nobody else takes its number meanwhile.
  const own = ["--mount", "--propagation", "private", "--pid", "--fork"];
  const unshare = spawn("unshare", [...own, "setsid", "sh", "-c", SCRIPT, "sh", root], { stdio: "ignore" });
  for (let look = 0; !existsSync(join(root, "ready")) && look < 500; look++) await Bun.sleep(10);
  const [tree = 0] = childrenOf(unshare.pid ?? 0);
  const outcome = await dump(tree, images, {});
  expect(outcome.ok ? "" : outcome.errors).toBe("");
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

let attempts = 0;

/** Restores the images as `change` has changed them. */
async function attempt(change: (dir: ImageDir, path: string) => void, options: string[] = []) {
  const path = join(scratch, `attempt-${++attempts}`);
  cpSync(images, path, { recursive: true });
  change(ImageDir.open(path), path);
  const all = ["-d", "--root", root, "--pidfile", pidfile, ...options];
  return restore(path, { options: all, workDir: join(scratch, "work"), timeoutMs: 20_000 });
}

/** It fails with a line that says `word`, and nothing is there or gone that was not before. */
async function refused(word: RegExp, change: (dir: ImageDir, path: string) => void, options: string[] = []) {
  const before = [listing(outside), listing(root), readText("/proc/self/mountinfo")];
  const outcome = await attempt(change, options);
  expect({ exitCode: outcome.exitCode, errors: outcome.errors }).toEqual({
    exitCode: 1,
    errors: expect.stringMatching(word),
  });
  expect([listing(outside), listing(root), readText("/proc/self/mountinfo")]).toEqual(before);
  expect(existsSync(pidfile)).toBe(false);
}

function numberOf(dir: ImageDir): number {
  return dir.readOne(IMAGES.ids, pid).mnt_ns_id ?? 0;
}

/** Changes the mounts of the tree. */
function mounts(change: (mounts: MntEntry[]) => MntEntry[]): (dir: ImageDir) => void {
  return (dir) => dir.writeAll(IMAGES.mnts, change(dir.readAll(IMAGES.mnts, numberOf(dir))), numberOf(dir));
}

function changed(mountpoint: string, change: Partial<MntEntry>): (dir: ImageDir) => void {
  return mounts((all) => all.map((each) => (each.mountpoint === mountpoint ? { ...each, ...change } : each)));
}

/** One more mount, of the root. */
function added(change: Partial<MntEntry>): (dir: ImageDir) => void {
  return mounts((all) => {
    const first = all.find(({ mountpoint }) => mountpoint === "/");
    if (first === undefined) throw new Error("no root");
    const more = {
      fstype: Fstype.TMPFS,
      mnt_id: 9999,
      root_dev: 0xfffff,
      parent_mnt_id: first.mnt_id,
      root: "/",
    };
    return [{ ...first, ...more, source: "x", options: "", ...change }, ...all];
  });
}

const work = missing === undefined ? describe : describe.skip;

work("a container's images", () => {
  test("restore as they are", async () => {
    const outcome = await attempt(() => {});
    expect(outcome.ok ? "" : outcome.errors).toBe("");
    expect(readText(`/proc/${restored()}/root/mnt/file`)).toBe("inside\n");
    await killAll([restored()]);
    rmSync(pidfile);
  });

  test("have to have a mount namespace of their own where a root is given", () =>
    refused(/--root/, (dir) => {
      const own = dir.readOne(IMAGES.inventory).root_ids?.mnt_ns_id;
      dir.writeAll(IMAGES.ids, [{ ...dir.readOne(IMAGES.ids, pid), mnt_ns_id: own }], pid);
    }));

  test("mount nothing outside of the root", async () => {
    await refused(/for its mountpoint/, changed("/mnt", { mountpoint: `/../../../..${outside}/dir` }));
    await refused(/for its mountpoint/, changed("/mnt", { mountpoint: "mnt" }));
    for (const link of LINKS)
      await refused(/its mountpoint: ENO|ENOENT/, changed("/mnt", { mountpoint: `${link}/dir` }));
  });

  test("bind nothing of what is outside", async () => {
    await refused(/for its root/, changed("/bound", { root: `/../../../..${outside}` }));
    const first = (all: MntEntry[]) => all.find(({ mountpoint }) => mountpoint === "/");
    for (const link of LINKS) {
      const bind = mounts((all) => {
        const of = first(all);
        return all.map((each) =>
          each.mountpoint === "/bound" && of !== undefined
            ? { ...each, root_dev: of.root_dev, root: `${of.root === "/" ? "" : of.root}${link}/dir` }
            : each,
        );
      });
      await refused(/ENOENT/, bind);
    }
  });

  test("have no circles and no parents that are missing", async () => {
    await refused(/its parent/, changed("/mnt", { parent_mnt_id: 4242 }));
    await refused(/its parent/, added({ mountpoint: "/sub", mnt_id: 1, parent_mnt_id: 1 }));
    await refused(
      /circle|no mount at \//,
      mounts((all) => {
        const ids = all.map(({ mnt_id }) => mnt_id);
        return all.map((each, i) => ({
          ...each,
          mountpoint: "/",
          parent_mnt_id: ids[(i + 1) % ids.length] ?? 0,
        }));
      }),
    );
  });

  test("take nothing external that the options do not name", async () => {
    const external = { ext_key: "CRIU:AUTOGENERATED", source: outside };
    await refused(/--external mnt\[\]/, changed("/mnt", external));
    await refused(/--external mnt\[SECRET\]/, changed("/mnt", { ext_key: "SECRET" }));
    await refused(/--external mnt\[/, changed("/mnt", { ext_mount: true, root: outside }));
  });

  test("mount no device that the options do not allow", async () => {
    const disk = {
      fstype: Fstype.AUTO,
      fsname: "ext4",
      root_dev: 0xfe00000,
      source: "/dev/vda",
      mountpoint: "/sub",
    };
    await refused(/--enable-fs ext4/, added(disk));
    await refused(/--enable-fs ext4/, added({ ...disk, ext_key: "CRIU:EXTERNAL_DEV", source: "dev[x]" }));
    await refused(/cannot be mounted/, added({ fstype: Fstype.UNSUPPORTED, mountpoint: "/sub" }));
    await refused(/FUSE/, added({ fstype: Fstype.FUSE, mountpoint: "/sub" }));
    await refused(/--enable-fs nfs/, added({ fstype: Fstype.AUTO, fsname: "nfs", mountpoint: "/sub" }));
    const agent = `none,name=hostile,release_agent=${outside}/secret`;
    await refused(/release_agent/, added({ fstype: Fstype.CGROUP, options: agent, mountpoint: "/sub" }));
  });

  test("have no way to a namespace that the tree does not live in", async () => {
    const shows = (root: string) => added({ fstype: Fstype.AUTO, fsname: "nsfs", root, mountpoint: "/file" });
    await refused(/our own network/, (dir) => {
      const ids = dir.readOne(IMAGES.ids, pid);
      const [ours, theirs] = [ids.net_ns_id ?? 0, 77];
      dir.writeAll(IMAGES.ids, [{ ...ids, net_ns_id: theirs }], pid);
      shows(`/net:[${ours}]`)(dir);
    });
    for (const root of ["/", "/mnt:[5]", "/net:[5]/x"]) await refused(/no network/, shows(root));
  });

  test("hear of no mounts of ours", () =>
    refused(/slave of group/, changed("/mnt", { master_id: 1, flags: 1 << 19 })));

  test("open no file outside of the root", async () => {
    const file = (change: { name: string; mnt_id?: number }) => (dir: ImageDir) =>
      dir.writeAll(
        IMAGES.files,
        dir
          .readAll(IMAGES.files)
          .map((entry) =>
            entry.reg?.name === "/file"
              ? { ...entry, reg: { ...entry.reg, ...change, mode: undefined } }
              : entry,
          ),
      );
    for (const link of LINKS) {
      await refused(/ENOENT/, file({ name: `${link}/secret` }));
      await refused(/ENOENT/, file({ name: `${link}/secret`, mnt_id: -1 }));
    }
    await refused(/ENOENT|is not on/, file({ name: `/../../../../../..${outside}/secret` }));
    await refused(/ENOENT/, file({ name: `/../../../../../..${outside}/secret`, mnt_id: -1 }));
    await refused(/no mount 4242/, file({ name: "/file", mnt_id: 4242 }));
    await refused(/EXDEV/, file({ name: "/mnt/file" }));
  });

  test("make and remove no names outside of the root", async () => {
    const remapped = (type: RemapType, name: string) => (dir: ImageDir) => {
      const files = dir.readAll(IMAGES.files);
      const entry = files.find(({ reg }) => reg?.name === "/file");
      if (entry?.reg === undefined) throw new Error("no file");
      const other = { ...entry, id: 777, reg: { ...entry.reg, id: 777, name: `${name}/link_remap.7` } };
      const moved = { ...entry, reg: { ...entry.reg, name: `${name}/new` } };
      dir.writeAll(IMAGES.files, [...files.filter((each) => each !== entry), moved, other]);
      const ghost = { uid: 0, gid: 0, mode: 0o100644, dev: 1, ino: 5n };
      if (type === RemapType.GHOST) dir.writeHeaded(IMAGES.ghost_file, ghost, [], 777);
      dir.writeAll(IMAGES.remap_fpath, [{ orig_id: entry.id, remap_id: 777, remap_type: type }]);
    };
    for (const name of [...LINKS, `/../../../../..${outside}`]) {
      await refused(/Error/, remapped(RemapType.GHOST, name));
      await refused(/Error/, remapped(RemapType.LINKED, name));
    }
    expect(readFileSync(join(outside, "link_remap.7"), "utf8")).toBe("not yours");
  });

  test("write, make and give away nothing outside of the hierarchies of control groups", async () => {
    const perms = { mode: 0o777, uid: 1000, gid: 1000 };
    const groups = (path: string, dir: string, property: string) => (images: ImageDir) => {
      const properties = [{ name: property, value: "mine", perms }];
      const children = [{ dir_name: dir, children: [], properties, dir_perms: perms }];
      const dirs = [{ dir_name: "criu-ts-hostile", children, properties: [] }];
      const ctls = [{ name: "memory", path }];
      const controllers = [{ cnames: ["memory"], dirs }];
      images.writeAll(IMAGES.cgroup, [{ sets: [{ id: 1, ctls }], controllers, namespaces: [] }]);
    };
    const way = `../../../../../..${outside}`;
    const options = ["--manage-cgroups=full"];
    await refused(/is no name of a property/, groups("/x", "y", `${way}/secret`), options);
    await refused(/is no path of a group/, groups("/x", `${way}/new`, "p"), options);
    await refused(/is no path of a group/, groups(`/${way}`, "y", "p"), options);
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
  });

  test("unpack nothing outside of the mount", async () => {
    const archive = (path: string, link?: string) => (dir: ImageDir) => {
      const device = dir.readAll(IMAGES.mnts, numberOf(dir)).find(({ mountpoint }) => mountpoint === "/mnt");
      const parts: Uint8Array[] = [];
      const gzip = new GzipWriter((bytes) => parts.push(bytes.slice()));
      const tar = new TarWriter((bytes) => gzip.write(bytes));
      const common = {
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: { sec: 0n, nsec: 0 },
        major: 0,
        minor: 0,
        size: 0,
      };
      const more = { ...common, attributes: new Map(), link: "" };
      if (link !== undefined) tar.begin({ ...more, type: TYPE.SYMLINK, path: "./link", link });
      tar.begin({ ...more, type: TYPE.FILE, path });
      tar.end();
      gzip.end();
      writeFileSync(dir.rawPath(RAW_IMAGES.tmpfs_dev, device?.root_dev), Buffer.concat(parts));
    };
    await refused(/leads out/, archive(`./../../../..${outside}/new`));
    await refused(/leads out/, archive(`${outside}/new`));
    await refused(/its content/, archive("./link/new", outside));
    await refused(/its content/, archive("./link/new", `../../../../../..${outside}`));
    await refused(/its content/, (dir) => {
      const device = dir.readAll(IMAGES.mnts, numberOf(dir)).find(({ mountpoint }) => mountpoint === "/mnt");
      writeFileSync(dir.rawPath(RAW_IMAGES.tmpfs_dev, device?.root_dev), "no archive");
    });
  });

  test("stand in and run nothing outside of the root", async () => {
    const names = (from: string, to: string) => (dir: ImageDir) =>
      dir.writeAll(
        IMAGES.files,
        dir
          .readAll(IMAGES.files)
          .map((entry) =>
            entry.type === FdTypes.REG && entry.reg?.name === from
              ? { ...entry, reg: { ...entry.reg, name: to, size: undefined, mode: undefined } }
              : entry,
          ),
      );
    for (const link of LINKS) {
      await refused(/ENOENT/, names("/", `${link}/dir`));
      await refused(/ENOENT/, names("/bin/busybox", `${link}/secret`));
    }
  });
});
