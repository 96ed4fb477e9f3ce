import { describe, expect, test } from "bun:test";
import { MS } from "../../linux/mount.ts";
import { parseMountinfo } from "../../linux/mountinfo.ts";
import { uncovering } from "./access.ts";
import { parametersOf } from "./context.ts";
import { Externals } from "./external.ts";
import { withContext } from "./plan.ts";
import { buildTree, fromRoot, isCovered, type Mount, pathBelow, visibleAt } from "./tree.ts";

/** Lines of mountinfo as the kernel writes them, of which these tests need little: id, parent, mountpoint. */
function treeOf(...mounts: [number, number, string][]) {
  const text = mounts.map(([id, parent, at]) => `${id} ${parent} 0:${id} / ${at} rw - tmpfs t rw`).join("\n");
  return buildTree(parseMountinfo(text, "a test"), 9);
}

const ids = (mounts: readonly Mount[]) => mounts.map(({ id }) => id);

describe("a file system", () => {
  test("is told its parameters one by one", () => {
    const options = 'size=4k,context="u:r:t:s0:c1,c2",seclabel,lowerdir=/a\\054b:/c,nodev_thing';
    const superFlags = MS.RDONLY | MS.SYNCHRONOUS;
    expect(parametersOf({ source: "src", options, superFlags }, (flag) => flag !== MS.RDONLY)).toEqual([
      { key: "source", value: "src" },
      { key: "sync", value: undefined },
      { key: "size", value: "4k" },
      { key: "context", value: "u:r:t:s0:c1,c2" },
      { key: "lowerdir", value: "/a,b:/c" },
      { key: "nodev_thing", value: undefined },
    ]);
  });
});

describe("a context of SELinux", () => {
  test("takes the place of the one that a mount had", () => {
    expect(withContext('size=1k,context="a:b:c:s0:c1,c2",inode64', "x:y:z")).toBe(
      'size=1k,context="x:y:z",inode64',
    );
    expect(withContext("fscontext=a,mode=755", "x:y")).toBe('fscontext="x:y",mode=755');
    expect(withContext("size=1k", "x:y")).toBe("size=1k");
  });
});

describe("paths", () => {
  test("are below others or not", () => {
    expect(pathBelow("/a/b", "/a")).toBe("b");
    expect(pathBelow("/a", "/a")).toBe("");
    expect(pathBelow("/ab", "/a")).toBeUndefined();
    expect(pathBelow("/a/b", "/")).toBe("a/b");
    expect(pathBelow("/", "/")).toBe("");
    expect(pathBelow("/a", "/a/b")).toBeUndefined();
  });
});

describe("a tree of mounts", () => {
  const tree = treeOf(
    [1, 0, "/"],
    [2, 1, "/a/b"],
    [3, 1, "/a"],
    [4, 3, "/a/c"],
    [5, 2, "/a/b"],
    [6, 1, "/d"],
    [7, 6, "/d"],
    [8, 7, "/d/e"],
  );
  const mount = (id: number) => {
    const found = tree.all.find((each) => each.id === id);
    if (found === undefined) throw new Error(`no mount ${id}`);
    return found;
  };

  test("has parents before children", () => {
    const order = ids(fromRoot(tree.root));
    expect(order).toHaveLength(8);
    for (const each of tree.all)
      if (each.parent !== undefined)
        expect(order.indexOf(each.id)).toBeGreaterThan(order.indexOf(each.parent.id));
  });

  test("tells what a path leads to", () => {
    const at = (path: string) => visibleAt(tree.root, path).id;
    expect([
      at("/"),
      at("/x"),
      at("/a"),
      at("/a/b"),
      at("/a/c/x"),
      at("/d"),
      at("/d/e/f"),
      at("/de"),
    ]).toEqual([1, 1, 3, 3, 4, 7, 8, 1]);
    expect(ids(tree.all.filter((each) => isCovered(tree.root, each)))).toEqual([2, 5, 6]);
  });

  test("is uncovered without losing what is wanted", () => {
    const steps = uncovering(tree.root, [mount(2), mount(4), mount(6)]);
    const opened = steps.flatMap(({ open }) => (open === undefined ? [] : [open.id]));
    const unmounted = steps.flatMap(({ unmount }) => (unmount === undefined ? [] : [unmount.id]));
    expect(opened.sort()).toEqual([2, 4, 6]);
    expect(unmounted.sort()).toEqual([3, 5, 7]);
    // What is mounted in the cover is opened before that goes.
    expect(steps.findIndex(({ open }) => open?.id === 4)).toBeLessThan(
      steps.findIndex(({ unmount }) => unmount?.id === 3),
    );
    // The tree itself stays.
    expect(mount(1).children).toHaveLength(3);
  });

  test("is refused where it is none", () => {
    expect(() => treeOf([1, 0, "/"], [2, 9, "/a"])).toThrow("missing");
    expect(() => treeOf([1, 0, "/"], [2, 1, "/a"], [3, 2, "/b"])).toThrow("its parent is");
    expect(() => treeOf([1, 0, "/"], [2, 1, "/a"], [3, 1, "/a"])).toThrow("two mounts");
    expect(() => treeOf([1, 0, "/"], [2, 3, "/a"], [3, 2, "/a"])).toThrow("circle");
    expect(() => treeOf([1, 0, "/"], [1, 0, "/"])).toThrow("twice");
    expect(() => treeOf([1, 2, "/"], [2, 1, "/"])).toThrow("no mount at /");
  });
});

describe("what is external", () => {
  const none = { external: [], extMountMap: [], enableExternalSharing: false, enableExternalMasters: false };

  test("is told by --external and --ext-mount-map", () => {
    const words = [
      "mnt[/a/b]:NAME",
      "mnt[KEY]:rel/path",
      "dev[254/3]:disk",
      "dev[disk]:/dev/x",
      "mnt[]:m",
      "net[1]:x",
    ];
    const externals = new Externals({ ...none, external: words, extMountMap: ["/c:OTHER"] });
    expect(externals.mount("/a/b")).toBe("NAME");
    expect(externals.mount("/c")).toBe("OTHER");
    expect(externals.path("KEY")).toBe("/rel/path");
    expect(externals.deviceName((254 << 20) | 3)).toBe("disk");
    expect(externals.devicePath("dev[disk]")).toBe("/dev/x");
    expect(externals.devicePath("/dev/x")).toBeUndefined();
    expect([externals.found, externals.masters, externals.sharing]).toEqual([true, true, false]);
  });

  test("is nothing where nothing is said", () => {
    const externals = new Externals(none);
    expect([externals.found, externals.masters, externals.sharing]).toEqual([false, false, false]);
    expect(new Externals({ ...none, extMountMap: ["auto"] }).found).toBe(true);
    expect(new Externals({ ...none, external: ["mnt[]:s"] }).sharing).toBe(true);
  });
});
