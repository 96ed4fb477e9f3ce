import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { NEW } from "../../linux/clone.ts";
import { kill } from "../../linux/kill.ts";
import { NR } from "../../linux/nr.ts";
import { nsPid, ownNumber } from "../../linux/pid.ts";
import { ourMaps } from "../../linux/proc.ts";
import { SIG } from "../../linux/signal.ts";
import { awaitEnds } from "../hold/freeze.ts";
import { Area, BULK, spansOf } from "../table/area.ts";
import { spawnChildren } from "./spawn.ts";
import { spawnRoot } from "./spawn-root.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: a pid namespace is for root");

const numbersOf = (pid: number) =>
  /^NSpid:\t(.*)$/m
    .exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    ?.split("\t")
    .map(Number);

test.if(isRoot)("a process in a new pid namespace is known by both its numbers, and so is its child", () => {
  const root = spawnRoot({
    number: nsPid(1),
    area: Area.place(spansOf(ourMaps()), 1, BULK.RESTORE),
    pidfdNumber: 0,
    namespaces: NEW.PID,
  });
  const born = [root.pid];
  try {
    root.table.run();
    expect(ownNumber(root.identity)).toBe(nsPid(1));
    expect(numbersOf(root.pid)).toEqual([root.pid, 1]);
    const births = [{ number: nsPid(77), nested: [], flags: 0, exitSignal: SIG.CHLD, part: 0 }];
    spawnChildren(root, births, ([child]) => {
      if (child === undefined) throw new Error("nobody was born");
      born.unshift(child.pid);
      expect(child.number).toBe(nsPid(77));
      expect(numbersOf(child.pid)).toEqual([child.pid, 77]);
      const asked = child.table.call(NR.getpid);
      child.table.run();
      expect(asked.value).toBe(77);
    });
    expect(born.length).toBe(2);
  } finally {
    // With the first process of a namespace all of it ends, it last of all.
    kill(root.pid, SIG.KILL);
    for (const pid of born) awaitEnds([{ tid: pid }]);
  }
});
