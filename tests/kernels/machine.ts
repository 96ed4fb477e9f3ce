/**
 * Machines with Debian's own kernels, emulated by qemu without KVM: what they consist of, and one run of them. Everything that is
 * fetched or made stays below one directory, which may be removed at any time.
 */

import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { projectDir } from "../harness/build.ts";
import { linesOf } from "../harness/lines.ts";

/** What cannot be had here, and so cannot be tested. */
export class NotHere extends Error {}

/** What a machine is to do; read by guest.ts. */
export interface Job {
  /** By name; all of them if none is named. */
  fixtures: string[];
  programs: string[];
  ways: ("cold" | "warm")[];
  /** So long it may work. */
  minutes: number;
}

/** What Debian calls a kernel by which its newest package of that version is found; and how many processors it gets. */
const KERNELS: Readonly<Record<string, { readonly packages: string; readonly processors: number }>> = {
  // It waits for its second processor without letting it run, where time goes by with the instructions of one.
  "6.1": { packages: "linux-image-6.1-amd64 linux-image-amd64", processors: 1 },
  "6.12": { packages: "linux-image-6.12-amd64", processors: 2 },
};
export const kernelNames = Object.keys(KERNELS);

const SUITE = "bookworm";
const MIRROR = "http://deb.debian.org";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SOURCES = [
  ["debian", SUITE],
  ["debian", `${SUITE}-updates`],
  ["debian-security", `${SUITE}-security`],
]
  .map(([part, suite]) => `deb [signed-by=${KEYRING}] ${MIRROR}/${part} ${suite} main\n`)
  .join("");
/** What the fixtures and programs need of Debian's packages, beside its smallest system. */
const PACKAGES =
  "gcc,libc6-dev,iproute2,iptables,nftables,kmod,procps,util-linux,python3,xz-utils,zstd,bc,openssl,perl";
const PROGRAMS = [
  "qemu-system-x86_64",
  "debootstrap",
  "busybox",
  "cpio",
  "mkfs.ext4",
  "depmod",
  "modprobe",
  "dpkg",
];
/** Modules that mount the disk. */
const DISK_MODULES = ["virtio_pci", "virtio_blk", "crc32c_generic", "crc32c_intel", "ext4"];
/** Modules for devices that the machine has none of. */
const NOT_NEEDED =
  "sound drivers/gpu drivers/media drivers/infiniband drivers/iio drivers/staging drivers/scsi";
const NOR_THESE =
  "drivers/hwmon drivers/usb drivers/input drivers/isdn drivers/net/ethernet drivers/net/wireless";

/** Runs a command to its end. @throws Error with its words */
function must(command: string[], options: { cwd?: string } = {}): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { ...options, stdin: "ignore" });
  if (exitCode === 0) return stdout.toString();
  throw new Error(`${command.join(" ")}: ${stderr.toString().trim() || stdout.toString().trim()}`);
}

/** Makes something once: `make` fills a directory that gets its name when it is whole. */
function once(path: string, make: (unfinished: string) => void): string {
  if (existsSync(path)) return path;
  const unfinished = mkdtempSync(`${path}.`);
  try {
    make(unfinished);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
  return path;
}

/** @throws NotHere with what is lacking */
export function checkHost(): void {
  if (process.arch !== "x64") throw new NotHere("this is no x86-64 machine");
  if (process.getuid?.() !== 0) throw new NotHere("a Debian tree is made by root");
  const lacking = PROGRAMS.filter((name) => Bun.which(name) === null);
  if (lacking.length > 0) throw new NotHere(`no ${lacking.join(", ")} here`);
  if (!existsSync(KEYRING)) throw new NotHere(`no ${KEYRING} here (debian-archive-keyring)`);
}

export class Machines {
  private readonly apt: string[];

  /** @param dir absolute, made if need be */
  constructor(private readonly dir: string) {
    mkdirSync(dir, { recursive: true });
    const at = (name: string) => join(dir, "apt", name);
    for (const name of ["lists/partial", "archives/partial"]) mkdirSync(at(name), { recursive: true });
    writeFileSync(at("sources.list"), SOURCES);
    writeFileSync(at("status"), "");
    const settings = {
      "Dir::State": at("."),
      "Dir::State::lists": at("lists"),
      "Dir::State::status": at("status"),
      "Dir::Cache": at("."),
      "Dir::Etc::sourcelist": at("sources.list"),
      "Dir::Etc::sourceparts": "-",
      "APT::Sandbox::User": "root",
      "APT::Architecture": "amd64",
    };
    this.apt = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  }

  /** The Debian tree, without kernels and without us. @throws NotHere */
  private system(): string {
    return once(join(this.dir, `system-${SUITE}`), (root) => {
      console.log("kernels: fetches a Debian tree");
      try {
        must(["debootstrap", "--variant=minbase", `--include=${PACKAGES}`, SUITE, root, `${MIRROR}/debian`]);
      } catch (error) {
        throw new NotHere(`debootstrap: ${error instanceof Error ? error.message : error}`);
      }
      rmSync(join(root, "var/cache/apt"), { recursive: true, force: true });
    });
  }

  /** The files of a kernel's package. @throws NotHere */
  private kernel(version: string): string {
    return once(join(this.dir, `kernel-${version}`), (into) => {
      console.log(`kernels: fetches Linux ${version}`);
      try {
        must(["apt-get", ...this.apt, "-qq", "update"]);
        const names = (KERNELS[version]?.packages ?? "").split(" ");
        const [depends] = names.flatMap((name) => {
          const { stdout } = Bun.spawnSync(["apt-cache", ...this.apt, "depends", name]);
          return /Depends: (linux-image-\S*amd64)$/m.exec(stdout.toString())?.[1] ?? [];
        });
        if (depends === undefined) throw new Error(`the archive has no ${names.join(" or ")}`);
        const fetched = mkdtempSync(join(this.dir, "fetched-"));
        must(["apt-get", ...this.apt, "-qq", "download", depends], { cwd: fetched });
        for (const file of readdirSync(fetched)) must(["dpkg", "-x", join(fetched, file), into]);
        rmSync(fetched, { recursive: true });
      } catch (error) {
        throw new NotHere(error instanceof Error ? error.message : String(error));
      }
      for (const part of `${NOT_NEEDED} ${NOR_THESE}`.split(" "))
        rmSync(join(into, "lib/modules", release(into), "kernel", part), { recursive: true, force: true });
      must(["depmod", "-b", into, release(into)]);
      makeInitrd(into);
    });
  }

  /**
   * A disk with the Debian tree, the modules of a kernel, this project with its fixtures compiled, and the cold executable.
   * Gives its path.
   */
  disk(version: string, cold: string, job: Job): string {
    const system = this.system();
    const kernel = this.kernel(version);
    const root = join(this.dir, "root");
    const disk = join(this.dir, "disk.img");
    rmSync(root, { recursive: true, force: true });
    must(["cp", "-a", "--reflink=auto", system, root]);
    mkdirSync(join(root, "lib/modules"), { recursive: true });
    must(["cp", "-a", join(kernel, "lib/modules", release(kernel)), join(root, "lib/modules")]);
    const ours = join(root, "criu-ts");
    for (const name of ["src", "tests", "scripts", "package.json", "tsconfig.json", "node_modules/bun"])
      cpSync(join(projectDir, name), join(ours, name), { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(ours, "node_modules/.bin"), { recursive: true });
    symlinkSync("../bun/bin/bun.exe", join(ours, "node_modules/.bin/bun"));
    mkdirSync(join(ours, "cold"));
    cpSync(cold, join(ours, "cold/criu"));
    writeFileSync(join(ours, "job.json"), JSON.stringify(job));
    compileFixtures(root, join(this.dir, "fixtures"), job.fixtures);
    rmSync(disk, { force: true });
    must(["truncate", "-s", "8G", disk]);
    must(["mkfs.ext4", "-q", "-F", "-d", root, disk]);
    rmSync(root, { recursive: true });
    return disk;
  }

  /**
   * Boots a kernel with a disk, which stays as it is, and has `line` told what its console says. Ends with the machine, or after
   * so many minutes, when it is killed: false then.
   */
  async boot(version: string, disk: string, minutes: number, line: (text: string) => void): Promise<boolean> {
    const kernel = join(this.dir, `kernel-${version}`);
    const log = join(this.dir, `console-${version}.log`);
    writeFileSync(log, "");
    const child = Bun.spawn(
      [
        ...["nice", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=single,tb-size=1024"],
        // Time goes by as instructions are made: the machine does not see how busy the host is.
        ...["-icount", "shift=1,sleep=off"],
        ...["-cpu", "max,la57=off", "-smp", `${KERNELS[version]?.processors ?? 1}`],
        ...["-m", "3G", "-nographic", "-nodefaults", "-no-reboot"],
        ...["-serial", "stdio", "-kernel", join(kernel, "boot", `vmlinuz-${release(kernel)}`)],
        ...["-initrd", join(kernel, "initrd.gz"), "-append", "console=ttyS0 quiet panic=-1"],
        ...["-drive", `file=${disk},format=raw,if=virtio,cache=unsafe,snapshot=on`],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    );
    let late = false;
    const alarm = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, minutes * 60_000);
    try {
      for await (const text of linesOf(child.stdout)) {
        appendFileSync(log, `${text}\n`);
        line(text.replace(/\r$/, ""));
      }
      await child.exited;
    } finally {
      clearTimeout(alarm);
      child.kill("SIGKILL");
    }
    return !late;
  }
}

/** The version of a kernel as it says it itself, by which its modules are found. */
function release(kernel: string): string {
  const [name] = readdirSync(join(kernel, "lib/modules"));
  return name ?? "";
}

/** What mounts the disk: Debian's kernels have neither the disk's driver nor its file system built in. */
function makeInitrd(kernel: string): void {
  const root = mkdtempSync(join(kernel, "initrd-"));
  for (const name of ["bin", "modules", "proc", "sys", "dev", "new"]) mkdirSync(join(root, name));
  cpSync(Bun.which("busybox") ?? "", join(root, "bin/busybox"));
  const order = DISK_MODULES.flatMap((name) => {
    const { stdout } = Bun.spawnSync([
      "modprobe",
      "-d",
      kernel,
      "-S",
      release(kernel),
      "--show-depends",
      name,
    ]);
    return [...stdout.toString().matchAll(/^insmod (\S+)/gm)].map(([, path = ""]) => path);
  });
  for (const path of new Set(order)) {
    const name = basename(path);
    if (!name.endsWith(".xz")) cpSync(path, join(root, "modules", name));
    else writeFileSync(join(root, "modules", name.slice(0, -3)), Bun.spawnSync(["xz", "-dc", path]).stdout);
  }
  const modules = [...new Set(order)].map((path) => basename(path).replace(/\.xz$/, ""));
  writeFileSync(
    join(root, "init"),
    `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in ${modules.join(" ")}; do /bin/busybox insmod /modules/$module; done
for turn in 1 2 3 4 5 6 7 8 9; do [ -b /dev/vda ] || /bin/busybox sleep 1; done
/bin/busybox mount -t ext4 /dev/vda /new
/bin/busybox umount /proc /sys
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /bin/sh /criu-ts/tests/kernels/init.sh
`,
    { mode: 0o755 },
  );
  must(["sh", "-c", `cd ${root} && find . | cpio -o -H newc 2>/dev/null | gzip -1 >${kernel}/initrd.gz`]);
  rmSync(root, { recursive: true });
}

/** By the compiler of the tree, for the C library of the tree; what was compiled before is kept in a directory. */
function compileFixtures(root: string, kept: string, names: readonly string[]): void {
  const built = join(root, "criu-ts/build/fixtures");
  mkdirSync(kept, { recursive: true });
  mkdirSync(join(built, ".."));
  must(["cp", "-a", kept, built]);
  const command = 'mount -t proc proc "$0/proc" && exec chroot "$0" "/criu-ts/node_modules/.bin/bun" "$@"';
  const script = 'import { buildFixtures } from "/criu-ts/tests/harness/build.ts"; await buildFixtures();';
  writeFileSync(join(root, "criu-ts/compile.ts"), script);
  const chosen = `FIXTURE=${names.join()}`;
  must([
    "env",
    ...(names.length === 0 ? [] : [chosen]),
    "unshare",
    "-m",
    "sh",
    "-c",
    command,
    root,
    "/criu-ts/compile.ts",
  ]);
  must(["cp", "-a", `${built}/.`, kept]);
}
