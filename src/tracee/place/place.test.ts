import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, O, readWhole } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { ourPid } from "../../linux/ourselves.ts";
import { hostPid } from "../../linux/pid.ts";
import { AF, SOCK } from "../../linux/socket.ts";
import { statusOf } from "../../linux/statx.ts";
import { rawSyscall } from "../../linux/syscall.ts";
import { Helper } from "../build/helper.ts";
import { InsidePlace } from "./inside.ts";
import { ours } from "./ours.ts";
import { MOST_GIVEN, must, type Place, take } from "./place.ts";
import { Places } from "./places.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: namespaces of others are for root");

/** ioctl(2) on a socket: a descriptor of its network namespace (include/uapi/linux/sockios.h). */
const SIOCGSKNS = 0x894c;
/** Users 0 to 65535 of the user namespace of the tests are these of ours and on. */
const FIRST_USER = 100_000;

const dir = mkdtempSync(join(tmpdir(), "criu-ts-place-"));
const decoder = new TextDecoder();
let others: Bun.Subprocess[] = [];

/** A process that lives in namespaces of its own, and has done what `script` says. */
async function elsewhere(flags: string[], script: string): Promise<number> {
  const ready = join(dir, `ready-${others.length}`);
  const command = ["unshare", ...flags, "sh", "-c", `${script} && echo > ${ready} && exec sleep 300`];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  others.push(child);
  while (!existsSync(ready) && child.exitCode === null) await Bun.sleep(1);
  return child.pid;
}

const namespaceOf = (pid: number, kind: string) => Fd.open(`/proc/${pid}/ns/${kind}`, O.RDONLY);

let apart = 0;
let users = 0;

beforeAll(async () => {
  if (!isRoot) return;
  const inMount = `mkdir ${dir}/inside && mount -t tmpfs none ${dir}/inside`;
  const files = `echo hello > ${dir}/inside/open && echo secret > ${dir}/inside/shut && chmod 600 ${dir}/inside/shut`;
  apart = await elsewhere(["--net", "--mount"], `chmod 755 ${dir} && ${inMount} && ${files}`);
  users = await elsewhere(["--user"], "true");
  for (const kind of ["uid", "gid"]) writeFileSync(`/proc/${users}/${kind}_map`, `0 ${FIRST_USER} 65536`);
});

afterAll(async () => {
  for (const child of others) {
    child.kill("SIGKILL");
    await child.exited;
  }
  others = [];
  rmSync(dir, { recursive: true, force: true });
});

/** What a process reads of a descriptor of its own. */
function readIn(place: Place, number: number): string {
  const bytes = new Uint8Array(64);
  return decoder.decode(bytes.subarray(0, must(place, "the file", NR.read, number, bytes, bytes.length)));
}

describe.if(isRoot)("a call", () => {
  test("is made where it is wanted, with bytes that go there and come back", () => {
    using places = new Places();
    using net = namespaceOf(apart, "net");
    using own = namespaceOf(process.pid, "net");
    expect(places.at({})).toBe(ours);
    expect(places.at({ net: own.number })).toBe(ours);
    const there = places.at({ net: net.number });
    expect(places.at({ net: net.number })).toBe(there);
    for (const place of [ours, there]) {
      using socket = take(place, "a socket", NR.socket, AF.INET, SOCK.DGRAM, 0);
      using namespace = Fd.own(rawSyscall(NR.ioctl, socket.number, SIOCGSKNS));
      expect(statusOf(namespace.number).ino).toBe(
        statSync(`/proc/${place === ours ? process.pid : apart}/ns/net`).ino,
      );
      const name = new Uint8Array(256);
      const length = must(place, "the program", NR.readlinkat, AT.FDCWD, "/proc/self/exe", name, name.length);
      expect(decoder.decode(name.subarray(0, length))).toBe(readlinkSync("/proc/self/exe"));
    }
  });

  test("that fails says where", () => {
    using places = new Places();
    using mnt = namespaceOf(apart, "mnt");
    const place = places.at({ mnt: mnt.number });
    expect(place.call(NR.openat, AT.FDCWD, "/nothing/there", O.RDONLY)).toBe(-ERRNO.ENOENT);
    expect(() => must(place, "/nothing/there", NR.openat, AT.FDCWD, "/nothing/there", O.RDONLY)).toThrow(
      /^openat \/nothing\/there in process \d+: ENOENT$/,
    );
  });

  test("in a user namespace has no more rights than its root", () => {
    using places = new Places();
    using mnt = namespaceOf(apart, "mnt");
    using user = namespaceOf(users, "user");
    const place = places.at({ mnt: mnt.number, user: user.number });
    using open = take(place, "a file", NR.openat, AT.FDCWD, `${dir}/inside/open`, O.RDONLY);
    expect(decoder.decode(readWhole(open.number))).toBe("hello\n");
    expect(place.call(NR.openat, AT.FDCWD, `${dir}/inside/shut`, O.RDONLY)).toBe(-ERRNO.EACCES);
    expect(place.call(NR.getuid)).toBe(0);
  });
});

describe.if(isRoot)("a process in another user namespace", () => {
  test("gets a socket of another network namespace and a file of another mount namespace", () => {
    using places = new Places();
    using net = namespaceOf(apart, "net");
    using mnt = namespaceOf(apart, "mnt");
    using user = namespaceOf(users, "user");
    using socket = take(places.at({ net: net.number }), "a socket", NR.socket, AF.INET, SOCK.DGRAM, 0);
    const path = `${dir}/inside/shut`;
    using file = take(places.at({ mnt: mnt.number }), "a file", NR.openat, AT.FDCWD, path, O.RDONLY);
    expect(() => statSync(path)).toThrow("ENOENT");

    const process = places.at({ user: user.number });
    const numbers = process.give([socket.number, file.number]);
    expect(numbers[1]).toBe((numbers[0] ?? 0) + 1);
    expect(readIn(process, numbers[1] ?? -1)).toBe("secret\n");
    using back = process.take(numbers[0] ?? -1);
    using namespace = Fd.own(rawSyscall(NR.ioctl, back.number, SIOCGSKNS));
    expect(statusOf(namespace.number).ino).toBe(statSync(`/proc/${apart}/ns/net`).ino);
    // For which it must be sent them.
    using us = Fd.ofProcess(ourPid());
    const [pidfd = -1] = process.give([us.number]);
    expect(process.call(NR.pidfd_getfd, pidfd, file.number, 0)).toBe(-ERRNO.EPERM);
  });

  test("gets as many as there are, each the lowest number that is free", () => {
    using places = new Places();
    using user = namespaceOf(users, "user");
    const process = places.at({ user: user.number });
    using file = Fd.open(import.meta.path, O.RDONLY);
    const count = 2 * MOST_GIVEN + 7;
    const [first = -1] = process.give([file.number]);
    const numbers = process.give(Array.from({ length: count }, () => file.number));
    expect(numbers).toEqual(Array.from({ length: count }, (_, i) => first + 1 + i));
    for (const number of [first, ...numbers]) must(process, "a file", NR.close, number);
    expect(process.give([file.number])).toEqual([first]);
  });

  test("is told by name when it has no room for them", () => {
    using places = new Places();
    using user = namespaceOf(users, "user");
    const process = places.at({ user: user.number });
    using file = Fd.open(import.meta.path, O.RDONLY);
    const RLIMIT_NOFILE = 7;
    const limit = new Uint8Array(new BigUint64Array([8n, 8n]).buffer);
    must(process, "its limit", NR.setrlimit, RLIMIT_NOFILE, limit);
    expect(() => process.give(Array.from({ length: 20 }, () => file.number))).toThrow("EMFILE");
  });
});

describe.if(isRoot)("a helper", () => {
  test("ends with its owner, and leaves nothing", () => {
    const children = () => readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    const before = children();
    // Those of kinds that a helper has; the runtime makes others when it likes.
    const descriptors = () =>
      readdirSync("/proc/self/fd").filter((fd) => {
        try {
          return /^(socket|anon_inode:\[pidfd\]|user|mnt|net)/.test(readlinkSync(`/proc/self/fd/${fd}`));
        } catch {
          // The one that the directory was read by.
          return false;
        }
      }).length;
    const open = descriptors();
    {
      using places = new Places();
      using user = namespaceOf(users, "user");
      places.at({ user: user.number });
      expect(children()).not.toBe(before);
    }
    expect(children()).toBe(before);
    expect(descriptors()).toBe(open);
  });

  test("that cannot go there leaves nothing either, and says so", () => {
    const before = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    {
      using places = new Places();
      using file = Fd.open("/dev/null", O.RDONLY);
      expect(() => places.at({ net: file.number })).toThrow(KernelError);
    }
    expect(readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8")).toBe(before);
  });

  test("gets no id that is needed", () => {
    const last = Number(readFileSync("/proc/sys/kernel/ns_last_pid", "utf8"));
    const avoid = new Set(Array.from({ length: 10 }, (_, i) => hostPid(last + 1 + i)));
    using helper = Helper.start(avoid);
    expect(avoid.has(helper.pid)).toBe(false);
    const place = new InsidePlace(helper.pid, helper.table, { pidfd: helper.ourPidfd });
    expect(place.call(NR.getpid)).toBe(helper.pid);
    expect(() => new InsidePlace(helper.pid, helper.table).give([0])).toThrow("nothing is opened");
    // Nothing of our memory is left in it.
    expect(readFileSync(`/proc/${helper.pid}/maps`, "utf8").trim().split("\n").length).toBeLessThan(4);
  });
});
