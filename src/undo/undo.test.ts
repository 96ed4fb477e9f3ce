import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fd } from "../linux/fd.ts";
import { AT, O, readText } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { hostPid } from "../linux/pid.ts";
import { addressOf, cString, rawSyscall, syscall } from "../linux/syscall.ts";
import { call, unlinking } from "./calls.ts";
import { Undo } from "./undo.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-ts-undo-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const at = (name: string) => join(dir, name);

function make(name: string): string {
  writeFileSync(at(name), "");
  return at(name);
}

/** What takes a file away, that is there. */
function removing(path: string) {
  using fd = Fd.open(path, O.PATH);
  return unlinking(AT.FDCWD, path, fd.number);
}

/** What adds a line to a file; the order of lines is that of what was undone. */
function noting(line: string) {
  const open = call(NR.openat, AT.FDCWD, cString(at("order")), O.WRONLY | O.APPEND | O.CREAT, 0o600);
  return [open, call(NR.write, open, cString(line), line.length), call(NR.close, open)];
}

function noted(): string {
  const text = existsSync(at("order")) ? readFileSync(at("order"), "utf8") : "";
  rmSync(at("order"), { force: true });
  return text;
}

describe("what is left in the list", () => {
  test("is undone when it is disposed of, newest first", () => {
    {
      using undo = new Undo();
      for (const line of ["a", "b", "c"]) undo.lay(line, noting(line));
      expect(noted()).toBe("");
    }
    expect(noted()).toBe("cba");
  });

  test("is not what was dropped or undone before, wherever it stands", () => {
    for (const [out, rest] of [
      [0, "dcb"],
      [1, "dca"],
      [2, "dba"],
      [3, "cba"],
    ] as const) {
      for (const early of [false, true]) {
        using undo = new Undo();
        const entries = ["a", "b", "c", "d"].map((line) => undo.lay(line, noting(line)));
        const entry = entries[out];
        if (early) entry?.undo();
        else entry?.drop();
        expect(noted()).toBe(early ? ("abcd"[out] as string) : "");
        entry?.drop();
        entry?.undo();
        undo.finish();
        expect(noted()).toBe(rest);
      }
    }
  });

  test("is nothing after the commit, but what was laid for then", () => {
    using undo = new Undo();
    undo.lay("a", noting("a"));
    undo.layAfter("x", noting("x"));
    const dropped = undo.layAfter("y", noting("y"));
    undo.layAfter("z", noting("z"));
    dropped.drop();
    undo.commit();
    expect(noted()).toBe("");
    undo.finish();
    expect(noted()).toBe("zx");
    expect(undo.isEmpty).toBe(true);
  });

  test("is as long as need be", () => {
    using undo = new Undo();
    const paths = Array.from({ length: 3000 }, (_, i) => make(`${"long".repeat(40)}${i}`));
    const entries = paths.map((path) => undo.lay(path, removing(path)));
    for (let i = 0; i < entries.length; i += 2) entries[i]?.drop();
    undo.finish();
    expect(readdirSync(dir).length).toBe(1500);
    for (const path of paths) rmSync(path, { force: true });
  });

  test("is undone even if something in it fails", () => {
    using undo = new Undo();
    undo.lay("a", noting("a"));
    undo.lay("nothing", [call(NR.unlinkat, AT.FDCWD, cString("/nothing/here"), 0)]);
    const open = call(NR.openat, AT.FDCWD, cString("/nothing/here"), O.WRONLY);
    undo.lay("nothing either", [open, call(NR.write, open, cString("x"), 1), call(NR.close, open)]);
    undo.finish();
    expect(noted()).toBe("a");
  });
});

test("a name is taken away for as long as it leads to the file", () => {
  using undo = new Undo();
  const path = make("name");
  undo.lay(path, removing(path));
  rmSync(path);
  const gone = make("gone");
  undo.lay(gone, removing(gone));
  rmSync(gone);
  // Two more, so that no inode is used again.
  make("other");
  make("name");
  undo.finish();
  expect(readdirSync(dir).sort()).toEqual(["name", "other"]);
  for (const name of readdirSync(dir)) rmSync(at(name));
});

test("a call has its bytes and the descriptors that are open when it is made", () => {
  using undo = new Undo();
  const SOL_SOCKET = 1;
  const SO_MARK = 36;
  using socket = Fd.own(syscall("", NR.socket, 1, 1, 0));
  const value = new Uint8Array(new Uint32Array([7]).buffer);
  undo.lay("the mark", [call(NR.setsockopt, socket.number, SOL_SOCKET, SO_MARK, value, 4)]);
  value.fill(0);
  undo.finish();
  const got = new Uint8Array(new Uint32Array([0, 4]).buffer);
  syscall("", NR.getsockopt, socket.number, SOL_SOCKET, SO_MARK, addressOf(got), addressOf(got) + 4);
  expect(got[0]).toBe(7);
});

/** Processes whose parent is this one. */
function children(): number[] {
  return readText(`/proc/${process.pid}/task/${process.pid}/children`)
    .trim()
    .split(" ")
    .filter(Boolean)
    .map(Number);
}

describe("the warden", () => {
  test("is there from the first entry on, in nobody's way, and leaves nothing", () => {
    const before = children();
    using undo = new Undo();
    expect(children()).toEqual(before);
    undo.lay("a", noting("a")).drop();
    const [pid] = children().filter((each) => !before.includes(each));
    const words = readText(`/proc/${pid}/stat`).split(") ");
    expect(words[0]).toBe(`${pid} (warden`);
    const [, parent, group, session] = (words[1] ?? "").split(" ").map(Number);
    expect([parent, group, session]).toEqual([process.pid, pid, pid]);
    expect(readdirSync(`/proc/${pid}/task`)).toEqual([String(pid)]);
    const WNOHANG = 1;
    const status = new Uint8Array(8);
    // A wait for anybody does not see it.
    expect(rawSyscall(NR.wait4, pid ?? 0, addressOf(status), WNOHANG, 0)).toBe(-10);
    undo.finish();
    expect(children()).toEqual(before);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(undo.isEmpty).toBe(true);
  });

  test("gets no id that is needed", () => {
    const last = Number(readText("/proc/sys/kernel/ns_last_pid"));
    const before = children();
    const avoid = new Set(Array.from({ length: 20 }, (_, i) => hostPid(last + 1 + i)));
    using undo = new Undo(avoid);
    undo.lay("a", []);
    const [pid = 0] = children().filter((each) => !before.includes(each));
    expect(avoid.has(hostPid(pid))).toBe(false);
    undo.finish();
    expect(children()).toEqual(before);
  });

  test("costs less than a millisecond", () => {
    const times = Array.from({ length: 30 }, () => {
      const start = performance.now();
      using undo = new Undo();
      undo.lay("a", []).drop();
      undo.finish();
      return performance.now() - start;
    });
    times.sort((a, b) => a - b);
    console.log(`the warden: ${times[0]?.toFixed(3)} ms at the least, ${times[15]?.toFixed(3)} ms mostly`);
    expect(times[0]).toBeLessThan(1);
  });
});

describe("when we are killed", () => {
  const program = join(import.meta.dirname, "dies.test-support.ts");

  /** Starts the program in a fresh directory; gives it when it says that it is ready, and who its children are. */
  async function start(what: string) {
    const place = at("place");
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place);
    writeFileSync(join(place, "file"), "");
    linkSync(join(place, "file"), join(place, "old"));
    // A new session; setsid(1) does not fork, as it is not the leader of a group.
    const command = ["setsid", process.execPath, program, place, what];
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    const words = new TextDecoder().decode(value).trim().split(" ").filter(Boolean).map(Number);
    return { child, wardens: words, names: () => readdirSync(place).sort() };
  }

  /** Whether a process runs; one that nobody has waited for yet does not. */
  function runs(pid: number): boolean {
    try {
      return !/\) [ZX] /.test(readText(`/proc/${pid}/stat`));
    } catch {
      return false;
    }
  }

  /** Of a process that has ended it is empty. */
  function commandOf(pid: string): string {
    try {
      return readText(`/proc/${pid}/cmdline`);
    } catch {
      return "";
    }
  }

  async function until(condition: () => boolean): Promise<number> {
    const start = performance.now();
    while (!condition() && performance.now() - start < 5000) await Bun.sleep(0.5);
    return performance.now() - start;
  }

  for (const signal of ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const) {
    test(`by ${signal}, the warden undoes all and ends`, async () => {
      const { child, wardens, names } = await start("waits");
      expect(wardens.length).toBe(1);
      expect(names()).toEqual(["a", "b", "c", "file", "old"]);
      child.kill(signal);
      await child.exited;
      await until(() => !wardens.some(runs));
      expect(names()).toEqual(["file", "old"]);
      expect(wardens.filter(runs)).toEqual([]);
    });
  }

  test("together with our process group, the warden lives", async () => {
    const { child, wardens, names } = await start("waits");
    process.kill(-child.pid, "SIGKILL");
    await child.exited;
    await until(() => !wardens.some(runs));
    expect(names()).toEqual(["file", "old"]);
  });

  test("after the commit, the warden finishes what was begun", async () => {
    const { child, wardens, names } = await start("committed");
    expect(names()).toEqual(["a", "b", "c", "file", "old"]);
    child.kill("SIGKILL");
    await child.exited;
    await until(() => !wardens.some(runs));
    expect(names()).toEqual(["a", "b", "c", "file"]);
  });

  const times = Number(process.env.UNDO_KILLS ?? 60);
  test(`at ${times} instants while names come and go, none stays`, async () => {
    let longest = 0;
    for (let i = 0; i < times; i++) {
      const { child, names } = await start("works");
      await Bun.sleep(Math.random() * 20);
      child.kill("SIGKILL");
      await child.exited;
      longest = Math.max(longest, await until(() => names().length === 2));
      expect(names()).toEqual(["file", "old"]);
    }
    const left = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(dir));
    expect(left).toEqual([]);
    console.log(`names are gone ${longest.toFixed(1)} ms after our end at the latest`);
  }, 60_000);
});
