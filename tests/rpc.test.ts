/**
 * RPC, heard by clients that nobody here wrote: the messages and the library of Debian's pycriu, and go-criu. Every type of
 * request, notifications, errors, clients that die or lie, and clients without rights.
 */
import { afterEach, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CriuOpts, CriuReq, CriuReqType } from "../src/images/schema/generated/rpc.ts";
import { decode, encode } from "../src/images/wire.ts";
import { type Fixture, startFixture } from "./harness/fixture.ts";
import {
  adoptOrphans,
  compareSnapshots,
  killAll,
  leaveToBun,
  processTree,
  readText,
  snapshotProc,
  waitGone,
} from "./harness/processes.ts";
import { ourTool } from "./harness/tool.ts";

const PYTHON = "/usr/bin/python3";
const CLIENT = join(import.meta.dir, "rpc/client.py");
const NOBODY = 65534;
const LONG = 60_000;

const pycriu = Bun.spawnSync([PYTHON, "-c", "import pycriu.rpc_pb2, google.protobuf.json_format"]);
const hasPycriu = pycriu.exitCode === 0;
if (!hasPycriu) console.log(`skipped: pycriu cannot be had: ${pycriu.stderr.toString().split("\n").at(-2)}`);
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: the service serves others only as root");

interface Told {
  readonly script: string;
  readonly pid?: number;
  readonly fds?: readonly string[];
}
interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: what protobuf's own JSON gives
  readonly response: any;
  readonly told: readonly Told[];
  readonly error?: string;
}
interface Story {
  readonly pid: number;
  readonly answers: readonly Answer[];
  readonly exit?: number;
}
interface Wanted {
  readonly request?: Readonly<Record<string, unknown>>;
  readonly raw?: string;
  readonly dirs?: Readonly<Record<string, string>>;
  readonly refuses?: string;
  readonly dies_at?: string;
  readonly external?: readonly string[];
  /** What is written to the descriptors that were handed over, when the answer has come. */
  readonly types?: string;
}
interface Order {
  readonly socket?: string;
  readonly bare?: boolean;
  readonly ends?: readonly number[];
  /** Each request is made on a connection of its own. */
  readonly apart?: boolean;
  /** So many connections besides, all made before the first request. */
  readonly more?: number;
  readonly requests: readonly Wanted[];
}

const cleanup: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

function newDir(owner?: number): string {
  const dir = mkdtempSync(join(tmpdir(), "criu-ts-rpc-"));
  cleanup.push(() => rmSync(dir, { recursive: true, force: true }));
  if (owner !== undefined) chownSync(dir, owner, owner);
  return dir;
}

async function startedFixture(name = "pstree"): Promise<Fixture> {
  const fixture = await startFixture(name);
  cleanup.push(() => fixture.stop());
  return fixture;
}

/** An executable file that starts ours. */
function wrapped(dir: string): string {
  const path = join(dir, "criu");
  writeFileSync(path, `#!/bin/sh\nexec ${ourTool().join(" ")} "$@"\n`, { mode: 0o755 });
  return path;
}

/** Has a client say something; gives what the Python process printed and how it ended. */
async function client(
  order: Order,
  as?: number,
): Promise<{ story: Story | undefined; exit: number; text: string }> {
  const { swrk = ourTool(), ...rest } = order as Order & { swrk?: string[] };
  const words = as === undefined ? [] : ["setpriv", "--reuid", `${as}`, "--regid", `${as}`, "--clear-groups"];
  const child = Bun.spawn([...words, PYTHON, CLIENT], {
    cwd: tmpdir(),
    stdin: new Blob([JSON.stringify(order.socket === undefined ? { swrk, ...rest } : rest)]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, text, exit] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  // A worker prints where its client does.
  const told = out.split("\n").find((line) => line.startsWith("{"));
  return { story: told === undefined ? undefined : JSON.parse(told), exit, text };
}

async function talk(
  requests: readonly Wanted[],
  more: Omit<Order, "requests"> = {},
  as?: number,
): Promise<Story> {
  const { story, text } = await client({ ...more, requests }, as);
  if (story === undefined) throw new Error(text);
  return story;
}

const opts = (some: Readonly<Record<string, unknown>>) => ({ images_dir_fd: -1, log_level: 4, ...some });

describe.if(hasPycriu)("swrk", () => {
  test("answers questions one after the other, and ends well", async () => {
    const { answers, exit } = await talk([
      { request: { type: "VERSION", keep_open: true } },
      {
        request: {
          type: "FEATURE_CHECK",
          keep_open: true,
          features: { lazy_pages: true, pidfd_store: true },
        },
      },
      { request: { type: "FEATURE_CHECK", keep_open: true } },
      { request: { type: "WAIT_PID", pid: 1 } },
    ]);
    const [version, some, none, wait] = answers.map(({ response }) => response);
    expect(version).toEqual({
      type: "VERSION",
      success: true,
      version: { major_number: 4, minor_number: 2 },
    });
    expect(Object.keys(some.features).sort()).toEqual(["lazy_pages", "mem_track", "pidfd_store"]);
    expect(some.features.mem_track).toBe(false);
    expect(none.features).toEqual({ lazy_pages: false, mem_track: false, pidfd_store: false });
    expect(wait).toMatchObject({ type: "WAIT_PID", success: false, cr_errno: 10 });
    expect(exit).toBe(0);
  });

  test("ends well when nothing follows, and badly when nothing came", async () => {
    expect((await talk([{ request: { type: "VERSION", keep_open: true } }])).exit).toBe(0);
    expect((await talk([{ request: { type: "VERSION" } }])).exit).toBe(0);
    expect((await talk([])).exit).toBe(1);
  });

  test(
    "checks, and writes and compares the CPU's features",
    async () => {
      const dir = newDir();
      const dirs = { images_dir_fd: dir };
      const { answers } = await talk([
        { request: { type: "CPUINFO_DUMP", keep_open: true, opts: opts({}) }, dirs },
        { request: { type: "CPUINFO_CHECK", keep_open: true, opts: opts({}) }, dirs },
        { request: { type: "CHECK", opts: opts({}) } },
      ]);
      expect(answers.map(({ response }) => [response?.type, response?.success])).toEqual([
        ["CPUINFO_DUMP", true],
        ["CPUINFO_CHECK", true],
        ["CHECK", expect.any(Boolean)],
      ]);
      expect(readdirSync(dir).sort()).toEqual(["cpuinfo.img", "criu.log"]);
    },
    LONG,
  );

  test.each([
    [{ request: { type: "NOTIFY" } }, "EMPTY", /a request of type 6 means nothing here/],
    [{ request: { type: "EMPTY" } }, "EMPTY", /a request of type 0 means nothing here/],
    [{ raw: "ffff" }, "EMPTY", /cannot be read/],
    [{ raw: "1000" }, "EMPTY", /cannot be read/],
    [
      { request: { type: "DUMP", keep_open: true, opts: opts({}) } },
      "EMPTY",
      /keep_open is not for requests of this type/,
    ],
    [{ request: { type: "DUMP", opts: opts({}) } }, "DUMP", /the request names no directory of images/],
    [
      { request: { type: "DUMP", opts: opts({ log_file: "a/b" }) }, dirs: { images_dir_fd: "/tmp" } },
      "DUMP",
      /log_file/,
    ],
    [
      { request: { type: "RESTORE", opts: opts({ images_dir_fd: 99 }) } },
      "RESTORE",
      /images_dir_fd of the request: descriptor 99/,
    ],
    [{ request: { type: "CHECK", opts: opts({ log_file: "/a" }) } }, "CHECK", /log_file/],
    [
      { request: { type: "RESTORE", opts: opts({ empty_ns: 1 }) }, dirs: { images_dir_fd: "/tmp" } },
      "RESTORE",
      /empty_ns/,
    ],
  ] as [Wanted, string, RegExp][])("refuses %j", async (wanted, type, message) => {
    const { answers, exit } = await talk([wanted]);
    expect(answers[0]?.response).toMatchObject({ type, success: false });
    expect(answers[0]?.response.cr_errmsg).toMatch(message);
    if (type !== "EMPTY") expect(answers[0]?.response.cr_errno).toBe(56);
    // A question that is answered with no is answered.
    expect(exit).toBe(type === "CHECK" ? 0 : 1);
  });

  test(
    "tells a process that is not there, and a number that is taken",
    async () => {
      const fixture = await startedFixture("minimal");
      const dirs = { images_dir_fd: newDir() };
      const [missing] = (await talk([{ request: { type: "DUMP", opts: opts({ pid: 4_000_000 }) }, dirs }]))
        .answers;
      expect(missing?.response).toMatchObject({
        type: "DUMP",
        success: false,
        cr_errno: 3,
        dump: { restored: false },
      });
      const dump = { type: "DUMP", opts: opts({ pid: fixture.pid, leave_running: true }) };
      expect((await talk([{ request: dump, dirs }])).answers[0]?.response.success).toBe(true);
      const [taken] = (await talk([{ request: { type: "RESTORE", opts: opts({}) }, dirs }])).answers;
      expect(taken?.response).toMatchObject({
        type: "RESTORE",
        success: false,
        cr_errno: 17,
        restore: { pid: -1 },
      });
      await fixture.finish();
    },
    LONG,
  );

  test(
    "dumps and restores, with what it tells meanwhile, though it was given no standard descriptors",
    async () => {
      const fixture = await startedFixture();
      const members = processTree(fixture.pid);
      const images = newDir();
      const work = newDir();
      const dirs = { images_dir_fd: images, work_dir_fd: work };
      const dump = {
        type: "DUMP",
        opts: opts({ pid: fixture.pid, log_file: "d.log", notify_scripts: true }),
      };
      const dumped = await talk([{ request: dump, dirs, external: ["unix[1]"] }], { bare: true });
      expect(dumped.answers[0]).toEqual({
        response: { type: "DUMP", success: true, dump: { restored: false } },
        told: [{ script: "pre-dump" }, { script: "query-ext-files" }, { script: "post-dump" }],
      });
      expect(dumped.exit).toBe(0);
      await waitGone(members);
      expect(readText(join(work, "d.log"))).toContain("the client adds the external resource unix[1]");
      expect(readdirSync(work).sort()).toEqual(["d.log", "stats-dump"]);
      const restore = { type: "RESTORE", opts: opts({ log_file: "r.log", notify_scripts: true }) };
      const restored = await talk([{ request: restore, dirs }], { bare: true });
      expect(restored.answers[0]).toEqual({
        response: { type: "RESTORE", success: true, restore: { pid: fixture.pid } },
        told: [
          { script: "pre-restore" },
          { script: "post-restore", pid: fixture.pid },
          { script: "pre-resume" },
          { script: "post-resume" },
        ],
      });
      await fixture.finish();
    },
    LONG,
  );

  test(
    "pre-dumps, one after the other on a connection, and the dump that builds on them",
    async () => {
      const fixture = await startedFixture("minimal");
      const top = newDir();
      const [first, second, last] = ["first", "second", "last"].map((name) => {
        const dir = join(top, name);
        mkdirSync(dir);
        return { images_dir_fd: dir };
      });
      const of = { pid: fixture.pid, track_mem: true };
      const { answers } = await talk([
        { request: { type: "PRE_DUMP", opts: opts(of) }, ...(first && { dirs: first }) },
        {
          request: { type: "PRE_DUMP", opts: opts({ ...of, parent_img: "../first" }) },
          ...(second && { dirs: second }),
        },
        {
          request: { type: "DUMP", opts: opts({ ...of, parent_img: "../second" }) },
          ...(last && { dirs: last }),
        },
      ]);
      expect(answers.map(({ response }) => [response?.type, response?.success])).toEqual([
        ["PRE_DUMP", true],
        ["PRE_DUMP", true],
        ["DUMP", true],
      ]);
      const restore = { type: "RESTORE", opts: opts({}) };
      const restored = await talk([{ request: restore, ...(last && { dirs: last }) }]);
      expect(restored.answers[0]?.response?.success).toBe(true);
      await fixture.finish();
    },
    LONG,
  );

  test(
    "a page server in the background, and a dump that sends to it",
    async () => {
      const fixture = await startedFixture("minimal");
      const pages = newDir();
      const others = newDir();
      const { answers } = await talk([
        {
          request: {
            type: "PAGE_SERVER",
            opts: opts({ ps: { address: "127.0.0.1" }, parent_img: "../before" }),
          },
          dirs: { images_dir_fd: pages },
        },
      ]);
      const { success, ps } = answers[0]?.response ?? {};
      expect({ success, ps }).toEqual({
        success: true,
        ps: { pid: expect.any(Number), port: expect.any(Number) },
      });
      cleanup.push(() => killAll([ps.pid]));
      expect(readlinkSync(join(pages, "parent"))).toBe("../before");
      const sent = await talk([
        {
          request: {
            type: "DUMP",
            opts: opts({ pid: fixture.pid, ps: { address: "127.0.0.1", port: ps.port } }),
          },
          dirs: { images_dir_fd: others },
        },
      ]);
      expect(sent.answers[0]?.response).toMatchObject({ success: true });
      expect(await waitGone([ps.pid])).toEqual([]);
      for (const name of readdirSync(others))
        if (!existsSync(join(pages, name))) renameSync(join(others, name), join(pages, name));
      const restore = { type: "RESTORE", opts: opts({}) };
      const restored = await talk([{ request: restore, dirs: { images_dir_fd: pages } }]);
      expect(restored.answers[0]?.response?.success).toBe(true);
      await fixture.finish();
    },
    LONG,
  );

  test.each(["pre-dump", "query-ext-files", "post-dump"])(
    "a client that refuses %s, or dies there, has changed nothing",
    async (action) => {
      const fixture = await startedFixture();
      const before = snapshotProc(fixture.pid);
      const dirs = { images_dir_fd: newDir() };
      const request = { type: "DUMP", opts: opts({ pid: fixture.pid, notify_scripts: true }) };
      const refused = await talk([{ request, dirs, refuses: action }]);
      expect(refused.answers[0]?.response).toMatchObject({ type: "DUMP", success: false });
      expect(refused.answers[0]?.response.cr_errmsg).toContain(action);
      expect(compareSnapshots(before, snapshotProc(fixture.pid))).toEqual([]);
      const died = await client({ requests: [{ request, dirs, dies_at: action }] });
      expect(died.exit).toBe(9);
      await Bun.sleep(300);
      expect(compareSnapshots(before, snapshotProc(fixture.pid))).toEqual([]);
      await fixture.finish();
    },
    LONG,
  );

  test.each(["pre-restore", "post-restore"])(
    "after a client has refused %s, or died there, nothing is left",
    async (action) => {
      const fixture = await startedFixture();
      const members = processTree(fixture.pid);
      const dirs = { images_dir_fd: newDir() };
      await talk([{ request: { type: "DUMP", opts: opts({ pid: fixture.pid }) }, dirs }]);
      await waitGone(members);
      const request = { type: "RESTORE", opts: opts({ notify_scripts: true }) };
      const refused = await talk([{ request, dirs, refuses: action }]);
      expect(refused.answers[0]?.response).toMatchObject({ success: false, restore: { pid: -1 } });
      expect(await waitGone(members)).toEqual([]);
      expect((await client({ requests: [{ request, dirs, dies_at: action }] })).exit).toBe(9);
      expect(await waitGone(members)).toEqual([]);
      expect(
        (await talk([{ request: { type: "RESTORE", opts: opts({}) }, dirs }])).answers[0]?.response.success,
      ).toBe(true);
      await fixture.finish();
    },
    LONG,
  );

  test(
    "hands over the master of a terminal whose other end was outside",
    async () => {
      const dir = newDir();
      const dirs = { images_dir_fd: dir };
      const code = `
import fcntl, os, termios, time
master, slave = os.openpty()
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3): os.dup2(slave, fd)
    os.closerange(3, 100)
    os.execvp("sh", ["sh", "-c", "read line; echo got $line > ${dir}/got"])
print(pid, flush=True)
os.waitpid(pid, 0)`;
      const holder = Bun.spawn([PYTHON, "-c", code], { stdout: "pipe", stdin: "ignore" });
      const pid = Number(new TextDecoder().decode((await holder.stdout.getReader().read()).value));
      cleanup.push(() => killAll([pid]));
      while (!(readText(`/proc/${pid}/cmdline`) ?? "").startsWith("sh")) await Bun.sleep(5);
      await Bun.sleep(50);
      const some = opts({ orphan_pts_master: true, notify_scripts: true });
      const dumped = await talk([{ request: { type: "DUMP", opts: { ...some, pid } }, dirs }]);
      expect(dumped.answers[0]?.response.success).toBe(true);
      await holder.exited;
      const restore = { request: { type: "RESTORE", opts: some }, dirs, types: "hello\n" };
      const { answers } = await talk([restore]);
      expect(answers[0]?.response).toMatchObject({ success: true, restore: { pid } });
      const [master, ...others] =
        answers[0]?.told.filter(({ script }) => script === "orphan-pts-master") ?? [];
      expect(others).toEqual([]);
      expect(master?.fds).toEqual([expect.stringMatching(/ptmx$/)]);
      // What is written to it the process reads.
      while (!existsSync(join(dir, "got"))) await Bun.sleep(10);
      await waitGone([pid]);
      expect(readText(join(dir, "got"))).toBe("got hello\n");
    },
    LONG,
  );

  test(
    "restores a sibling: a child of the client",
    async () => {
      const fixture = await startedFixture("minimal");
      const dirs = { images_dir_fd: newDir() };
      await talk([{ request: { type: "DUMP", opts: opts({ pid: fixture.pid }) }, dirs }]);
      await waitGone([fixture.pid]);
      const request = { type: "RESTORE", opts: opts({ rst_sibling: true }) };
      // It can wait for it.
      const { answers } = await talk([{ request, dirs }], { ends: [fixture.pid] });
      expect(answers[0]?.response).toMatchObject({ success: true, restore: { pid: fixture.pid } });
      expect(await waitGone([fixture.pid])).toEqual([]);
    },
    LONG,
  );

  test(
    "becomes the command that is to be the parent",
    async () => {
      const fixture = await startedFixture("minimal");
      const dir = newDir();
      const dirs = { images_dir_fd: dir };
      await talk([{ request: { type: "DUMP", opts: opts({ pid: fixture.pid }) }, dirs }]);
      await waitGone([fixture.pid]);
      const exec_cmd = [
        "sh",
        "-c",
        `kill -0 ${fixture.pid} && echo parent of $(cat /proc/$$/task/$$/children); exit 7`,
      ];
      const { answers, exit } = await talk([
        { request: { type: "RESTORE", opts: opts({ exec_cmd }) }, dirs },
      ]);
      expect([answers[0]?.response.success, exit]).toEqual([true, 7]);
      expect(readText(join(dir, "criu.log"))).toMatch(new RegExp(`parent of ${fixture.pid}\\b`));
      await fixture.finish();
    },
    LONG,
  );

  test(
    "takes configuration before the request, and the one that the request names after it",
    async () => {
      const fixture = await startedFixture("minimal");
      const dir = newDir();
      const dirs = { images_dir_fd: dir };
      const script = join(dir, "script");
      writeFileSync(script, `#!/bin/sh\necho $CRTOOLS_SCRIPT_ACTION >> ${dir}/noted\n`, { mode: 0o755 });
      const config = join(dir, "rpc.conf");
      writeFileSync(
        config,
        `log-file ${dir}/elsewhere\naction-script ${script}\nno-leave\n`.replace("no-leave\n", ""),
      );
      const request = {
        type: "DUMP",
        opts: opts({ pid: fixture.pid, leave_running: true, log_file: "mine", config_file: config }),
      };
      expect((await talk([{ request, dirs }])).answers[0]?.response.success).toBe(true);
      expect(existsSync(join(dir, "mine"))).toBe(false);
      expect(readText(join(dir, "elsewhere"))).toContain("running pre-dump scripts");
      expect(readText(join(dir, "noted"))).toBe("pre-dump\npost-dump\n");
      // The environment's comes first: the request counts.
      const [program = "", ...rest] = ourTool();
      const wrapper = join(dir, "criu");
      writeFileSync(
        wrapper,
        `#!/bin/sh\nCRIU_CONFIG_FILE=${config} exec ${[program, ...rest].join(" ")} "$@"\n`,
        { mode: 0o755 },
      );
      const second = {
        type: "DUMP",
        opts: opts({ pid: fixture.pid, leave_running: true, log_file: "mine" }),
      };
      const story = await talk([{ request: second, dirs }], { swrk: [wrapper] } as object);
      expect(story.answers[0]?.response.success).toBe(true);
      expect(existsSync(join(dir, "mine"))).toBe(true);
      expect(readText(join(dir, "noted"))).toBe("pre-dump\npost-dump\npre-dump\npost-dump\n");
      // One that cannot be read ends it before anything is asked.
      writeFileSync(config, "no-such-option\n");
      expect((await talk([], { swrk: [wrapper] } as object)).exit).toBe(1);
      await fixture.finish();
    },
    LONG,
  );

  test(
    "is driven by pycriu's own methods",
    async () => {
      const fixture = await startedFixture("minimal");
      const dir = newDir();
      const wrapper = join(dir, "criu");
      writeFileSync(wrapper, `#!/bin/sh\nexec ${ourTool().join(" ")} "$@"\n`, { mode: 0o755 });
      const code = `
import os, sys, time, pycriu
c = pycriu.criu()
c.use_binary("${wrapper}")
c.opts.images_dir_fd = os.open("${dir}", os.O_RDONLY)
c.opts.log_level = 4
c.opts.pid = ${fixture.pid}
print(c.dump().restored)
while os.path.exists("/proc/${fixture.pid}"): time.sleep(0.01)
c.opts.ClearField("pid")
print(c.restore().pid)
c.opts.pid = 4000000
try:
    c.dump()
except pycriu.CRIUExceptionExternal as error:
    print(error)
`;
      const child = Bun.spawn([PYTHON, "-c", code], { stdout: "pipe", stderr: "pipe" });
      const reaper = setInterval(() => void waitGone([fixture.pid], 0), 20);
      const printed = await new Response(child.stdout).text();
      clearInterval(reaper);
      expect(printed.split("\n").slice(0, 3)).toEqual([
        "False",
        String(fixture.pid),
        expect.stringContaining("No process with such pid"),
      ]);
      await fixture.finish();
    },
    LONG,
  );
});

const GO_CRIU = "/usr/share/gocode/src/github.com/checkpoint-restore/go-criu";
const hasGoCriu = existsSync(GO_CRIU) && Bun.which("go") !== null;
if (!hasGoCriu)
  console.log("skipped: go-criu needs golang-go and golang-github-checkpoint-restore-go-criu-dev");

test.if(hasGoCriu)(
  "go-criu asks, dumps, restores, and hears of it",
  async () => {
    const dir = newDir();
    const program = join(dir, "gocriu");
    const built = Bun.spawnSync(["go", "build", "-o", program, "."], {
      cwd: join(import.meta.dir, "rpc/gocriu"),
      env: {
        ...process.env,
        GO111MODULE: "off",
        GOPATH: "/usr/share/gocode",
        GOFLAGS: "",
        GOCACHE: join(tmpdir(), "criu-ts-gocache"),
      },
    });
    expect(built.stderr.toString()).toBe("");
    const fixture = await startedFixture("minimal");
    const wrapper = wrapped(dir);
    const images = join(dir, "images");
    mkdirSync(images);
    const child = Bun.spawn([program, wrapper, String(fixture.pid), images], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const reaper = setInterval(() => void waitGone([fixture.pid], 0), 20);
    const printed = await new Response(child.stdout).text();
    clearInterval(reaper);
    expect(await new Response(child.stderr).text()).toBe("");
    expect(printed.split("\n").slice(0, -2)).toEqual([
      "40200 true",
      "true true true",
      "pre-dump",
      "post-dump",
      "pre-restore",
      `post-restore ${fixture.pid}`,
      "post-resume",
    ]);
    expect(printed).toMatch(/operation failed \(msg:.*log_file of the request.* err:56\)\n$/);
    await fixture.finish();
  },
  180_000,
);

interface Service {
  readonly socket: string;
  readonly dir: string;
  log(): string;
}

/** Starts the service in the background, as a daemon. */
async function startService(): Promise<Service> {
  // The daemon is ours then, to be ended.
  adoptOrphans();
  const dir = newDir();
  const pidfile = join(dir, "pid");
  const words = ["service", "--daemon", "-W", dir, "--address", "s", "--pidfile", "pid", "-o", "log", "-v4"];
  const child = Bun.spawnSync([...ourTool(), ...words], { stderr: "pipe", stdout: "pipe" });
  if (child.exitCode !== 0) throw new Error(child.stderr.toString());
  const pid = Number(readFileSync(pidfile, "utf8"));
  cleanup.push(() => killAll([pid, ...processTree(pid)]));
  // Others are to reach it.
  Bun.spawnSync(["chmod", "755", dir]);
  return { socket: join(dir, "s"), dir, log: () => readText(join(dir, "log")) ?? "" };
}

describe.if(hasPycriu && isRoot)("the service", () => {
  test(
    "is there when the daemon's parent has gone: pidfile, socket, a session without a terminal",
    async () => {
      const { socket, dir } = await startService();
      const pid = Number(readFileSync(join(dir, "pid"), "utf8"));
      expect(statSync(socket).mode & 0o777).toBe(0o666);
      const [, , , , , sid] = (readText(`/proc/${pid}/stat`) ?? "").split(" ");
      expect(sid).toBe(String(pid));
      const { answers } = await talk([{ request: { type: "VERSION" } }], { socket });
      expect(answers[0]?.response.success).toBe(true);
    },
    LONG,
  );

  test(
    "in the foreground writes to the status descriptor, and takes the place of a socket that was left",
    async () => {
      const dir = newDir();
      for (let time = 0; time < 2; time++) {
        const words = ["service", "-W", dir, "--address", "s", "--status-fd", "7"];
        const child = Bun.spawn([
          "sh",
          "-c",
          `exec 7>${dir}/status; exec "$@"`,
          "sh",
          ...ourTool(),
          ...words,
        ]);
        while (readText(join(dir, "status")) !== "\0") await Bun.sleep(10);
        const { answers } = await talk([{ request: { type: "VERSION" } }], { socket: join(dir, "s") });
        expect(answers[0]?.response.success).toBe(true);
        child.kill("SIGKILL");
        await child.exited;
        rmSync(join(dir, "status"));
      }
      // What is no socket is somebody's.
      writeFileSync(join(dir, "file"), "precious");
      const child = Bun.spawnSync([...ourTool(), "service", "-W", dir, "--address", "file"]);
      expect(child.stderr.toString()).toContain("--address file is there and is no socket");
      expect(readText(join(dir, "file"))).toBe("precious");
    },
    LONG,
  );

  test("serves a hundred at once", async () => {
    const { socket } = await startService();
    const { answers } = await talk([{ request: { type: "VERSION" } }], { socket, more: 99 });
    expect(answers.length).toBe(100);
    for (const { response } of answers) expect(response).toMatchObject({ type: "VERSION", success: true });
  }, 120_000);

  test(
    "lives through clients that say nothing, or what is no request",
    async () => {
      const { socket, log } = await startService();
      await talk([], { socket });
      for (const raw of ["00", "0801ffff", "ff".repeat(100), "0801120a08ffffffffffffffffff01"]) {
        const { answers } = await talk([{ raw }], { socket });
        expect(answers[0]?.response).toMatchObject({ success: false });
      }
      expect((await talk([{ request: { type: "VERSION" } }], { socket })).answers[0]?.response.success).toBe(
        true,
      );
      expect(log()).toMatch(/exited with 1/);
    },
    LONG,
  );

  test("answers a hundred packets that are nearly requests, of somebody without rights, and touches nobody", async () => {
    const { socket } = await startService();
    const fixture = await startedFixture("minimal");
    const before = snapshotProc(fixture.pid);
    const options = {
      ...decode(CriuOpts, Uint8Array.of(8, 0)),
      pid: fixture.pid,
      log_file: "log",
      external: ["mnt[]:s"],
    };
    const types = [
      CriuReqType.DUMP,
      CriuReqType.RESTORE,
      CriuReqType.CHECK,
      CriuReqType.WAIT_PID,
      CriuReqType.VERSION,
    ];
    let state = 7;
    const next = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 8) % below;
    };
    const packets = Array.from({ length: 100 }, (_, i) => {
      const bytes = encode(CriuReq, { type: types[i % types.length] ?? 0, opts: options }).slice();
      for (let change = next(4); change >= 0; change--) bytes[next(bytes.length)] = next(256);
      return { raw: bytes.subarray(0, bytes.length - next(3)).toHex() };
    });
    for (const answer of (await talk(packets, { socket, apart: true }, NOBODY)).answers)
      expect(answer.error).toBeUndefined();
    expect(compareSnapshots(before, snapshotProc(fixture.pid))).toEqual([]);
    const { answers } = await talk([{ request: { type: "VERSION" } }], { socket });
    expect(answers[0]?.response.success).toBe(true);
    await fixture.finish();
  }, 120_000);

  test(
    "refuses what makes sense to a parent only",
    async () => {
      const { socket } = await startService();
      const dirs = { images_dir_fd: newDir() };
      for (const some of [{ rst_sibling: true }, { inherit_fd: [{ key: "x", fd: 0 }] }, { ps: { fd: 3 } }]) {
        const { answers } = await talk([{ request: { type: "RESTORE", opts: opts(some) }, dirs }], {
          socket,
        });
        expect(answers[0]?.response).toMatchObject({ success: false, cr_errno: 56 });
        expect(answers[0]?.response.cr_errmsg).toContain("not for the service");
      }
    },
    LONG,
  );

  test(
    "is its client: who has no rights dumps and restores what is theirs, and touches nothing else",
    async () => {
      const { socket } = await startService();
      const theirs = newDir(NOBODY);
      const dirs = { images_dir_fd: theirs };
      const sleeper = [
        "setpriv",
        "--reuid",
        `${NOBODY}`,
        "--regid",
        `${NOBODY}`,
        "--clear-groups",
        "setsid",
        "sleep",
        "1000",
      ];
      const child = Bun.spawn(sleeper, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
      cleanup.push(() => killAll([child.pid]));
      while (!(readText(`/proc/${child.pid}/cmdline`) ?? "").startsWith("sleep")) await Bun.sleep(5);
      const dumped = await talk(
        [{ request: { type: "DUMP", opts: opts({ pid: child.pid }) }, dirs }],
        { socket },
        NOBODY,
      );
      expect(dumped.answers[0]?.response).toEqual({ type: "DUMP", success: true, dump: { restored: false } });
      await child.exited;
      for (const name of readdirSync(theirs))
        expect([name, statSync(join(theirs, name)).uid]).toEqual([name, NOBODY]);
      const restored = await talk(
        [{ request: { type: "RESTORE", opts: opts({}) }, dirs }],
        { socket },
        NOBODY,
      );
      expect(restored.answers[0]?.response).toMatchObject({ success: true, restore: { pid: child.pid } });
      const status = readText(`/proc/${child.pid}/status`) ?? "";
      expect(status).toContain(`Uid:\t${NOBODY}\t${NOBODY}\t${NOBODY}\t${NOBODY}\n`);
      expect(status).toMatch(/CapPrm:\t0+\nCapEff:\t0+\n/);

      const fixture = await startedFixture("minimal");
      const before = snapshotProc(fixture.pid);
      const ours = await talk(
        [{ request: { type: "DUMP", opts: opts({ pid: fixture.pid, leave_running: true }) }, dirs }],
        { socket },
        NOBODY,
      );
      expect(ours.answers[0]?.response).toMatchObject({ success: false, cr_errno: 1 });
      expect(compareSnapshots(before, snapshotProc(fixture.pid))).toEqual([]);
      // Root's images are not theirs to restore, and its directories not theirs to write a log to.
      const images = newDir();
      const mine = { images_dir_fd: images };
      await talk(
        [{ request: { type: "DUMP", opts: opts({ pid: fixture.pid, leave_running: true }) }, dirs: mine }],
        { socket },
      );
      Bun.spawnSync(["chmod", "755", images]);
      const names = readdirSync(images);
      const stolen = await talk(
        [{ request: { type: "RESTORE", opts: opts({ log_file: "theirs" }) }, dirs: mine }],
        { socket },
        NOBODY,
      );
      expect(stolen.answers[0]?.response).toMatchObject({ success: false });
      const secret = await talk(
        [
          {
            request: { type: "RESTORE", opts: opts({}) },
            dirs: { images_dir_fd: images, work_dir_fd: theirs },
          },
        ],
        { socket },
        NOBODY,
      );
      expect(secret.answers[0]?.response).toMatchObject({ success: false });
      expect(readdirSync(images)).toEqual(names);
      // Nor are images that say they were root's.
      const forged = newDir();
      Bun.spawnSync(["cp", "-r", `${images}/.`, forged]);
      Bun.spawnSync(["chown", "-R", `${NOBODY}:${NOBODY}`, forged]);
      await fixture.finish();
      const raised = await talk(
        [{ request: { type: "RESTORE", opts: opts({}) }, dirs: { images_dir_fd: forged } }],
        { socket },
        NOBODY,
      );
      expect(raised.answers[0]?.response).toMatchObject({ success: false });
      expect(await waitGone([fixture.pid])).toEqual([]);
    },
    LONG,
  );

  test.each([[true], [false]])(
    "who dumps itself (and runs on: %p) gets its answer, or finds it when restored",
    async (runsOn) => {
      const { socket } = await startService();
      const dir = newDir();
      const images = join(dir, "images");
      mkdirSync(images);
      const request = { type: "DUMP", opts: opts({ leave_running: runsOn }) };
      writeFileSync(
        join(dir, "in"),
        JSON.stringify({ socket, requests: [{ request, dirs: { images_dir_fd: images } }] }),
      );
      adoptOrphans();
      const words = `exec ${PYTHON} ${CLIENT} < ${dir}/in > ${dir}/out 2> ${dir}/err`;
      const child = Bun.spawn(["setsid", "sh", "-c", words], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      leaveToBun(child);
      cleanup.push(() => killAll([child.pid]));
      await child.exited;
      if (!runsOn) {
        expect([readText(join(dir, "out")), readText(join(dir, "err"))]).toEqual(["", ""]);
        const again = { request: { type: "RESTORE", opts: opts({}) }, dirs: { images_dir_fd: images } };
        const restored = await talk([again], { socket });
        expect(restored.answers[0]?.response).toMatchObject({ success: true, restore: { pid: child.pid } });
        expect(await waitGone([child.pid])).toEqual([]);
      }
      const story: Story = JSON.parse(readText(join(dir, "out")) ?? "");
      expect(story).toEqual({
        pid: child.pid,
        answers: [{ response: { type: "DUMP", success: true, dump: { restored: !runsOn } }, told: [] }],
      });
    },
    LONG,
  );

  test(
    "gives a script of a client's no more than the client has",
    async () => {
      const { socket } = await startService();
      const theirs = newDir(NOBODY);
      writeFileSync(
        join(theirs, "script"),
        `#!/bin/sh\ngrep -E 'Uid|Cap(Prm|Eff|Amb)' /proc/self/status > ${theirs}/noted; ls $CRTOOLS_IMAGE_DIR >> ${theirs}/noted\nexit 1\n`,
        { mode: 0o755 },
      );
      writeFileSync(join(theirs, "conf"), `action-script ${theirs}/script\n`);
      const request = { type: "DUMP", opts: opts({ pid: 1, config_file: join(theirs, "conf") }) };
      await talk([{ request, dirs: { images_dir_fd: theirs } }], { socket }, NOBODY);
      const noted = readText(join(theirs, "noted")) ?? "";
      expect(noted).toContain(`Uid:\t${NOBODY}\t${NOBODY}\t${NOBODY}\t${NOBODY}\n`);
      expect(noted).toMatch(/CapPrm:\t0+\nCapEff:\t0+\nCapAmb:\t0+\nconf\ncriu.log\n/);
    },
    LONG,
  );
});
