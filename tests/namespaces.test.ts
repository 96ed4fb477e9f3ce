/** Restores into namespaces that are there: --join-ns, --external with --inherit-fd. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adoptOrphans, childrenOf, killAll, processState, readText, waitGone } from "./harness/processes.ts";
import { dump, ourTool, restore } from "./harness/tool.ts";

adoptOrphans();
const started = new Set<number>();
const dirs: string[] = [];

afterAll(async () => {
  await killAll(started);
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "criu-ts-namespaces-"));
  dirs.push(dir);
  return dir;
}

/** Starts a program, and waits until it, or its only child, runs sleep(1). Gives that process. */
async function sleeper(words: string[]): Promise<number> {
  const { pid } = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  started.add(pid);
  for (let look = 0; look < 2000; look++) {
    for (const each of [pid, ...childrenOf(pid)]) {
      started.add(each);
      if (readText(`/proc/${each}/comm`) === "sleep\n" && processState(each) === "S") return each;
    }
    await Bun.sleep(2);
  }
  throw new Error(`${words.join(" ")} does not come to sleep`);
}

const namespaceOf = (pid: number, kind: string) => readlinkSync(`/proc/${pid}/ns/${kind}`);
const numbersOf = (pid: number) =>
  /^NSpid:\t(.*)$/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1]?.split("\t");

const SLEEP = ["setsid", "sleep", "1000"];

for (const [kind, option] of [
  ["uts", "--uts"],
  ["ipc", "--ipc"],
  ["net", "--net"],
  ["time", "--time"],
] as const) {
  test(`a tree joins the ${kind} namespace of a process, and that of a file`, async () => {
    const pid = await sleeper(SLEEP);
    const target = await sleeper(["unshare", "--fork", option, ...SLEEP]);
    const images = newDir();
    expect((await dump(pid, images)).errors).not.toContain("Error");
    for (const where of [String(target), `/proc/${target}/ns/${kind}`]) {
      const pidfile = join(images, "pid");
      rmSync(pidfile, { force: true });
      const outcome = await restore(images, {
        options: ["--join-ns", `${kind}:${where}`, "--pidfile", pidfile],
      });
      expect([outcome.errors, outcome.exitCode]).toEqual([expect.not.stringContaining("Error"), 0]);
      const restored = Number(readFileSync(pidfile, "utf8"));
      started.add(restored);
      expect(namespaceOf(restored, kind)).toBe(namespaceOf(target, kind));
      await killAll([restored]);
    }
  });
}

test("a tree that has a namespace of its own joins another one instead", async () => {
  const pid = await sleeper([
    "unshare",
    "--uts",
    "sh",
    "-c",
    "echo one >/proc/sys/kernel/hostname; exec setsid sleep 1000",
  ]);
  const target = await sleeper([
    "unshare",
    "--uts",
    "sh",
    "-c",
    "echo two >/proc/sys/kernel/hostname; exec setsid sleep 1000",
  ]);
  const images = newDir();
  expect((await dump(pid, images)).exitCode).toBe(0);
  expect((await restore(images, { options: ["--join-ns", `uts:${target}`] })).exitCode).toBe(0);
  started.add(pid);
  expect(namespaceOf(pid, "uts")).toBe(namespaceOf(target, "uts"));
  const name = Bun.spawnSync(["nsenter", "-t", String(target), "-u", "hostname"]).stdout.toString();
  expect(name).toBe("two\n");
});

test("a tree joins a mount namespace: its files are opened there", async () => {
  const dir = newDir();
  const file = join(dir, "file");
  writeFileSync(file, "ours\n");
  const words = (before: string) => ["sh", "-c", `${before}; exec setsid sleep 1000`];
  const pid = await sleeper(words(`cd ${dir}; exec 9<${file}`));
  const script = `mount -t tmpfs -o mode=700 none ${dir}; echo two > ${file}; echo one >> ${file}`;
  const target = await sleeper(["unshare", "--mount", ...words(script)]);
  const images = newDir();
  expect((await dump(pid, images, { options: ["--file-validation", "filesize"] })).exitCode).toBe(0);
  const other = await restore(images, { options: ["--join-ns", `mnt:${target}`] });
  expect(other.errors).toContain(`${file}`);
  Bun.spawnSync(["nsenter", "-t", String(target), "-m", "sh", "-c", `echo then > ${file}`]);
  const outcome = await restore(images, { options: ["--join-ns", `mnt:${target}`] });
  expect([outcome.errors, outcome.exitCode]).toEqual([expect.not.stringContaining("Error"), 0]);
  started.add(pid);
  expect(namespaceOf(pid, "mnt")).toBe(namespaceOf(target, "mnt"));
  expect(readFileSync(`/proc/${pid}/fd/9`, "utf8")).toBe("then\n");
  expect(readFileSync(`/proc/${pid}/cwd/file`, "utf8")).toBe("then\n");
  expect(readFileSync(file, "utf8")).toBe("ours\n");
});

test("a tree joins a user namespace", async () => {
  const pid = await sleeper(SLEEP);
  const target = await sleeper(["unshare", "--user", "sh", "-c", "exec setsid sleep 1000"]);
  writeFileSync(`/proc/${target}/uid_map`, "0 0 1\n7 1000 10\n");
  writeFileSync(`/proc/${target}/gid_map`, "0 0 1\n8 1000 10\n");
  const images = newDir();
  expect((await dump(pid, images)).exitCode).toBe(0);
  for (const words of [`user:${target}`, `user:/proc/${target}/ns/user,7,8`]) {
    const outcome = await restore(images, { options: ["--join-ns", words] });
    expect([outcome.errors, outcome.exitCode]).toEqual([expect.not.stringContaining("Error"), 0]);
    started.add(pid);
    expect(namespaceOf(pid, "user")).toBe(namespaceOf(target, "user"));
    expect(readText(`/proc/${pid}/status`)).toContain("Uid:\t0\t0\t0\t0");
    expect(processState(pid)).toBe("S");
    await killAll([pid]);
  }
});

test("what cannot be joined is refused", async () => {
  const pid = await sleeper(SLEEP);
  const images = newDir();
  expect((await dump(pid, images)).exitCode).toBe(0);
  for (const kind of ["pid", "cgroup", "bogus"]) {
    const outcome = await restore(images, { options: ["--join-ns", `${kind}:1`] });
    expect(outcome.exitCode).toBe(1);
    expect(outcome.errors).toContain(`--join-ns ${kind}:1: a namespace of the kind ${kind} cannot be joined`);
  }
  for (const words of ["uts:1,7", "user:1,root", "user:1,1,2,3"]) {
    const outcome = await restore(images, { options: ["--join-ns", words] });
    expect(outcome.errors).toContain(`--join-ns ${words}: only user:FILE[,UID[,GID]] has more than a file`);
  }
  expect((await restore(images, { options: ["--join-ns", "uts:/no/such/file"] })).errors).toContain("ENOENT");
  expect(await waitGone([pid])).toEqual([]);
});

test("a process in a pid namespace whose init is elsewhere is restored into another one", async () => {
  const first = await sleeper(["unshare", "--fork", "--pid", "sleep", "1000"]);
  const pid = await sleeper(["nsenter", "-t", String(first), "-p", ...SLEEP]);
  const number = numbersOf(pid)?.[1];
  const inode = /\[(\d+)\]/.exec(namespaceOf(pid, "pid"))?.[1];
  const images = newDir();
  const refused = await dump(pid, images);
  expect(refused.errors).toContain(`--external pid[${inode}]:NAME`);
  expect((await dump(pid, images, { options: ["--external", `pid[${inode}]:pods`] })).exitCode).toBe(0);

  const missing = await restore(images);
  expect(missing.errors).toContain("--inherit-fd fd[N]:pods");
  const second = await sleeper(["unshare", "--fork", "--pid", "sleep", "1000"]);
  const pidfile = join(images, "pid");
  const words = [
    "restore",
    "-d",
    "-D",
    images,
    "-o",
    "again.log",
    "--inherit-fd",
    "fd[3]:pods",
    "--pidfile",
    pidfile,
  ];
  const namespace = openSync(`/proc/${second}/ns/pid`, "r");
  const child = Bun.spawn([...ourTool(), ...words], { stdio: ["ignore", "ignore", "inherit", namespace] });
  expect(await child.exited).toBe(0);
  const restored = Number(readFileSync(pidfile, "utf8"));
  started.add(restored);
  expect(namespaceOf(restored, "pid")).toBe(namespaceOf(second, "pid"));
  expect(numbersOf(restored)).toEqual([String(restored), number ?? ""]);
});
