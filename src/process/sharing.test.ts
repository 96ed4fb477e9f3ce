import { expect, test } from "bun:test";
import { CLONE } from "../linux/clone.ts";
import { nsPid } from "../linux/pid.ts";
import { SIG } from "../linux/signal.ts";
import { lastOfSharers, originsOf, type Unborn } from "./sharing.ts";

interface Process extends Unborn<Process> {
  readonly name: string;
}

let nextObject = 100;

/** A process that has what `like` has of the kinds that are named, and everything else alone. */
function process(
  pid: number,
  parent: Process | undefined,
  like?: Process,
  kinds: readonly ("vm" | "files" | "fs" | "sighand")[] = [],
  more: { sid?: number; exitSignal?: number } = {},
): Process {
  const objects = { vm: nextObject++, files: nextObject++, fs: nextObject++, sighand: nextObject++ };
  for (const kind of kinds) objects[kind] = like?.objects?.[kind] ?? 0;
  return {
    name: `p${pid}`,
    pid: nsPid(pid),
    sid: nsPid(more.sid ?? 1),
    parent,
    objects,
    exitSignal: more.exitSignal ?? SIG.CHLD,
  };
}

const origin = (processes: readonly Process[], of: Process) => {
  const found = originsOf(processes).get(of);
  return [found?.maker.pid, found?.flags];
};

const root = process(1, undefined);

test("who shares nothing is its parent's child", () => {
  const child = process(2, root);
  expect(origin([root, child], child)).toEqual([1, 0]);
  expect(originsOf([root]).get(root)).toBeUndefined();
});

test("who shares with its parent gets that from it", () => {
  const child = process(2, root, root, ["vm", "sighand", "files"]);
  expect(origin([root, child], child)).toEqual([1, CLONE.VM | CLONE.SIGHAND | CLONE.FILES]);
});

test("who shares with a sibling is borne by it", () => {
  const first = process(2, root);
  const second = process(3, root, first, ["fs"]);
  expect(origin([root, first, second], second)).toEqual([2, CLONE.FS | CLONE.PARENT]);
});

test("the maker has all that is shared", () => {
  const first = process(2, root, root, ["fs"]);
  const second = process(3, root, first, ["fs", "files"]);
  expect(origin([root, first, second], second)).toEqual([2, CLONE.FS | CLONE.FILES | CLONE.PARENT]);
});

test("the dead share nothing", () => {
  const dead = { ...process(2, root), objects: undefined };
  const alsoDead = { ...process(3, root), objects: undefined };
  expect(origin([root, dead, alsoDead], alsoDead)).toEqual([1, 0]);
});

test("what nobody can bear again is refused", () => {
  const middle = process(2, root);
  const grandchild = process(3, middle);
  const cousin = process(4, root, grandchild, ["files"]);
  expect(() => originsOf([root, middle, grandchild, cousin])).toThrow(
    /^process 4: shares its descriptors \(CLONE_FILES\) with process 3, and neither its parent nor/,
  );
  const one = process(5, root, root, ["files"]);
  const two = process(6, root, one, ["files"]);
  if (two.objects !== undefined && middle.objects !== undefined)
    Object.assign(two.objects, { fs: middle.objects.fs });
  expect(() => originsOf([root, middle, one, two])).toThrow(/CLONE_FILES\), its directories \(CLONE_FS/);
});

test("a sibling gives its session and its exit signal", () => {
  const first = process(2, root);
  const elsewhere = process(3, root, first, ["fs"], { sid: 9 });
  expect(() => originsOf([root, first, elsewhere])).toThrow("process 3: shares");
  const silent = process(4, root, first, ["fs"], { exitSignal: 0 });
  expect(() => originsOf([root, first, silent])).toThrow("process 4: shares");
  const leading = process(5, root, first, ["fs"], { sid: 5 });
  expect(origin([root, first, leading], leading)).toEqual([2, CLONE.FS | CLONE.PARENT]);
});

test("the last one of those that share something", () => {
  const first = process(2, root, root, ["fs"]);
  const apart = process(3, root);
  const second = process(4, root, root, ["fs"]);
  expect(lastOfSharers([root, first, apart, second], "fs")).toEqual(new Set([apart, second]));
  expect(lastOfSharers([root, first, apart, second], "vm")).toEqual(new Set([root, first, apart, second]));
});
