/**
 * Mounts of autofs, whose server the kernel asks by a pipe to mount something where somebody goes: autofs-DEVICE.img says which of
 * the descriptors of the process that leads the server's group that pipe is. Without a server the file system is catatonic: it lets
 * everybody pass, and asks nobody. So it is restored, and given to its server when nobody of ours looks at paths any more
 * (Documentation/filesystems/autofs.rst).
 */
import type { ImageDir } from "../../images/image-dir.ts";
import { IMAGES } from "../../images/kinds.ts";
import type { AutofsEntry } from "../../images/schema/generated/namespaces.ts";
import { ERRNO } from "../../linux/errno.ts";
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { listNumbers, O, readLink, selfPath } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { type HostPid, hostPid, type NsPid, nsPid, type TreeTasks } from "../../linux/pid.ts";
import { readFdinfo } from "../../linux/proc.ts";
import { s32, struct, u32 } from "../../linux/struct.ts";
import { addressOf, cString, rawSyscall, syscall } from "../../linux/syscall.ts";
import type { Restoree } from "../../tracee/build/restoree.ts";
import type { Result } from "../../tracee/table/table.ts";
import { addMount, describe, type Mounted, type Parameter, parametersOf } from "./context.ts";
import { MountRestoreError } from "./errors.ts";
import { type Mount, pathBelow } from "./tree.ts";

/** include/uapi/linux/auto_fs.h, auto_dev-ioctl.h */
const IOC = { CATATONIC: 0x9362, SETTIMEOUT: 0xc0089364 } as const;
const DEV_IOCTL_SETPIPEFD = 0xc0189378;
const DEV_VERSION = { major: 1, minor: 0 } as const;
const devIoctl = struct({ major: u32, minor: u32, size: u32, ioctlFd: s32, pipeFd: s32, unused: u32 });
const FIONREAD = 0x541b;
const PIPE_LINK = "pipe:[";

/** How they are called in images: by their index. */
const MODES = ["direct", "indirect", "offset"] as const;
/** No server. */
const CATATONIC = -1;
/** Options that images of it do not have by themselves. */
const FLAGS: ReadonlySet<string> = new Set(["strictexpire", "ignore"]);
const DIRECTORY_MODE = 0o555;

// --- dump

/** What the image of a mount says. `refuse` is told why it cannot be restored. */
export function autofsEntry(options: string, tasks: TreeTasks, refuse: (what: string) => never): AutofsEntry {
  const words = options.split(",");
  const value = (name: string): number | undefined => {
    const word = words.find((each) => each.startsWith(`${name}=`));
    return word === undefined ? undefined : Number(word.slice(name.length + 1));
  };
  const [uid, gid, pipe] = [value("uid"), value("gid"), value("pipe_ino")];
  const entry = {
    timeout: value("timeout") ?? 0,
    minproto: value("minproto") ?? 0,
    maxproto: value("maxproto") ?? 0,
    mode: Math.max(
      0,
      MODES.findIndex((mode) => words.includes(mode)),
    ),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  };
  const leader = hostPid(value("pgrp") ?? 0);
  const fd = value("fd") ?? CATATONIC;
  // The kernel notes that nobody serves it any more when it asks the next time.
  const isServed = fd !== CATATONIC && leader > 0 && rawSyscall(NR.kill, -leader, 0) !== -ERRNO.ESRCH;
  if (!isServed) return { ...entry, fd: CATATONIC, pgrp: nsPid(0) };
  const number = tasks.has(leader) ? tasks.numberOf(leader) : 0;
  if (number === 0 || !tasks.living.includes(leader))
    refuse(`group ${leader}, which serves it, has no leader in the tree`);
  if (pipe === undefined) refuse("the kernel does not tell by which pipe it asks its server");
  const ends = endsOf(leader, pipe);
  const reading = ends.find(({ access }) => access === O.RDONLY)?.number;
  if (reading === undefined) refuse(`process ${leader}, which serves it, has no end of its pipe ${pipe}`);
  if (isWaiting(leader, reading))
    refuse(`requests to process ${leader}, which serves it, wait in pipe ${pipe}`);
  const isKept = ends.some((end) => end.number === fd && end.access === O.WRONLY);
  return { ...entry, fd, pgrp: number, ...(!isKept && { read_fd: reading }) };
}

/** Descriptors of a process that lead to a pipe. */
function endsOf(pid: HostPid, pipe: number): { number: number; access: number }[] {
  const link = `${PIPE_LINK}${pipe}]`;
  return listNumbers(`/proc/${pid}/fd`)
    .filter((number) => readLink(`/proc/${pid}/fd/${number}`) === link)
    .map((number) => ({ number, access: readFdinfo(pid, number).flags & O.ACCMODE }));
}

function isWaiting(pid: HostPid, number: number): boolean {
  using pidfd = Fd.ofProcess(pid);
  using end = Fd.outOf(pidfd.number, number);
  const count = new Uint8Array(4);
  syscall(`descriptor ${number} of process ${pid}`, NR.ioctl, end.number, FIONREAD, addressOf(count));
  return count.some((byte) => byte !== 0);
}

export function dumpAutofs(images: ImageDir, { device }: Mount, entry: AutofsEntry): void {
  images.writeAll(IMAGES.autofs, [entry], device);
}

// --- restore

/**
 * Mounts it inside a process, catatonic, with the directories that something is to be mounted on. Only the members of its server's
 * group may make them, so that is that of the process for so long.
 */
export function mountAutofs(root: Restoree, images: ImageDir, mount: Mount): Mounted {
  const { table } = root;
  const what = describe(mount);
  const entry = readEntry(images, mount);
  const [reading, writing] = Fd.pipe();
  using _reading = reading;
  using _writing = writing;
  const pipe = root.fetch(`${what}: its pipe`, writing.number);
  table.run();
  const mounted = addMount(table, what, "autofs", parameters(mount, entry, pipe.value), mount.flags);
  for (const path of directoriesIn(mount))
    table.must(`${what}: ${path}`, NR.mkdirat, mounted.fd, table.data(cString(path)), DIRECTORY_MODE);
  const flags = O.RDONLY | O.DIRECTORY | O.CLOEXEC;
  const top = table.must(what, NR.openat, mounted.fd, table.data(cString(".")), flags, 0);
  const timeout = table.data(new Uint8Array(new BigUint64Array([BigInt(Math.max(0, entry.timeout))]).buffer));
  table.must(`${what}: its timeout`, NR.ioctl, top, IOC.SETTIMEOUT, timeout);
  table.must(`${what}: to leave it`, NR.ioctl, top, IOC.CATATONIC, 0);
  table.must(what, NR.close, top);
  table.must(what, NR.close, pipe);
  table.run();
  return mounted;
}

function readEntry(images: ImageDir, mount: Mount): AutofsEntry {
  const entry = images.tryReadOne(IMAGES.autofs, mount.device);
  const bad = (what: string): never => {
    throw new MountRestoreError(`autofs-${mount.device}.img: ${describe(mount)}: ${what}`);
  };
  if (entry === undefined) return bad("it is not there");
  if (MODES[entry.mode] === undefined) bad(`mode ${entry.mode}`);
  return entry;
}

function parameters(mount: Mount, entry: AutofsEntry, fd: number): Parameter[] {
  const { uid, gid, minproto, maxproto, mode } = entry;
  const options = [
    `fd=${fd}`,
    ...(uid === undefined ? [] : [`uid=${uid}`]),
    ...(gid === undefined ? [] : [`gid=${gid}`]),
    `minproto=${minproto}`,
    `maxproto=${maxproto}`,
    ...MODES.slice(mode, mode + 1),
    ...mount.options.split(",").filter((option) => FLAGS.has(option)),
  ];
  const { source, superFlags } = mount;
  return parametersOf({ source, superFlags, options: options.join(",") }, () => true);
}

/** Paths in the file system that mounts stand on, or show; parents first. */
function directoriesIn({ peers }: Mount): string[] {
  const needed = new Set<string>();
  const need = (path: string) => {
    const names = path.split("/").filter((name) => name !== "");
    names.forEach((_, i) => void needed.add(names.slice(0, i + 1).join("/")));
  };
  for (const peer of peers) {
    need(peer.root);
    for (const { mountpoint } of peer.children) {
      const below = pathBelow(mountpoint, peer.mountpoint);
      if (below !== undefined) need(`${peer.root}/${below}`);
    }
  }
  return [...needed];
}

/** Gives the file system of a mount, whose root `root` of ours is open at for reading, to its server, which has its files by now. */
export function giveToServer(
  images: ImageDir,
  mount: Mount,
  root: number,
  processOf: (number: NsPid) => Restoree | undefined,
): void {
  const entry = readEntry(images, mount);
  if (entry.fd === CATATONIC) return;
  const what = describe(mount);
  const server = processOf(entry.pgrp);
  if (server === undefined)
    throw new MountRestoreError(`${what}: process ${entry.pgrp}, which serves it, is not there`);
  const { table } = server;
  using device = Fd.open("/dev/autofs", O.RDONLY);
  using pidfd = Fd.ofProcess(server.pid);
  using writing = entry.read_fd === undefined ? undefined : otherEnd(pidfd.number, entry.read_fd, what);
  const inside: number[] = [];
  const take = (fetched: Result): number => {
    table.run();
    inside.push(fetched.value);
    return fetched.value;
  };
  let pipeFd = entry.fd;
  if (writing !== undefined) {
    // Everybody sees by which number it was given.
    const pipe = take(server.fetch(what, writing.number));
    const isIt = pipe === entry.fd || entry.fd < 0;
    pipeFd = isIt ? pipe : take(table.must(what, NR.fcntl, pipe, F.DUPFD_CLOEXEC, entry.fd));
  }
  const top = take(server.fetch(what, root));
  const control = take(server.fetch(what, device.number));
  const argument = devIoctl.encode({
    ...DEV_VERSION,
    size: devIoctl.size,
    ioctlFd: top,
    pipeFd,
    unused: 0,
  });
  table.must(`${what}: to its server`, NR.ioctl, control, DEV_IOCTL_SETPIPEFD, table.data(argument));
  for (const number of inside) table.must(what, NR.close, number);
  table.run();
}

/** The end for writing of a pipe that a process has the other one of. */
function otherEnd(pidfd: number, number: number, what: string): Fd {
  using reading = Fd.outOf(pidfd, number);
  const path = selfPath(reading.number);
  if (!readLink(path).startsWith(PIPE_LINK))
    throw new MountRestoreError(`${what}: descriptor ${number} of its server is no pipe`);
  return Fd.open(path, O.WRONLY);
}
