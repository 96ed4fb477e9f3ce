// A program for undo.test.ts to kill: it gives further names to a file, and takes them away again.
//
//     bun dies.test-support.ts DIRECTORY waits      gives it three, says who its children are, and waits
//     bun dies.test-support.ts DIRECTORY committed  the same, but they are to stay, and another name is to go at the end
//     bun dies.test-support.ts DIRECTORY works      says so, and gives and takes names until it dies
import { linkSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Fd } from "../linux/fd.ts";
import { AT, O } from "../linux/io.ts";
import { unlinking } from "./calls.ts";
import { Undo, type UndoEntry } from "./undo.ts";

const [directory = "", what] = process.argv.slice(2);
const file = join(directory, "file");
using fd = Fd.open(file, O.PATH);
using undo = new Undo();

function give(name: string): UndoEntry {
  const path = join(directory, name);
  const entry = undo.lay(path, unlinking(AT.FDCWD, path, fd.number));
  linkSync(file, path);
  return entry;
}

if (what !== "works") {
  for (const name of ["a", "b", "c"]) give(name);
  if (what === "committed") {
    const old = join(directory, "old");
    undo.layAfter(old, unlinking(AT.FDCWD, old, fd.number));
    undo.commit();
  }
}
writeSync(1, `${readFileSync("/proc/thread-self/children", "utf8").trim()}\n`);
if (what !== "works") await new Promise(() => setInterval(() => {}, 1000));

const entries: UndoEntry[] = [];
for (let i = 0; ; i++) {
  entries.push(give(`name-${i}`));
  // Any of them goes, so that it happens at the list's end and in its middle.
  if (entries.length > 5) entries.splice((i * 7) % entries.length, 1)[0]?.undo();
  if (i % 50 === 49) {
    undo.finish();
    entries.length = 0;
  }
}
