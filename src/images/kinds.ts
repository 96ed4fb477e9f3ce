// The table of all image files: name, magic, message, and what follows the messages.
//
// A kind's key is CRIU's name for its magic in small letters, e.g. IMAGES.reg_files and REG_FILES. A codec's module is
// loaded when the kind is first used, so that a command pays only for the images it touches.

import * as Cgroups from "./schema/generated/cgroups.ts";
import * as Files from "./schema/generated/files.ts";
import * as Inventory from "./schema/generated/inventory.ts";
import * as Memory from "./schema/generated/memory.ts";
import * as Namespaces from "./schema/generated/namespaces.ts";
import * as Process from "./schema/generated/process.ts";
import * as Sockets from "./schema/generated/sockets.ts";
import * as Stats from "./schema/generated/stats.ts";
import { type Codec, Reader } from "./wire.ts";

/** First word of every image but the inventory and the service images. */
export const IMG_COMMON_MAGIC = 0x54564319;
/** First word of images that are not needed for a restore. */
export const IMG_SERVICE_MAGIC = 0x55105940;
/** img_version of an inventory whose images begin with a common magic; the only one that is written. */
export const IMG_VERSION = 2;

/** What the file's name has in the place of `*`: decimal, hexadecimal, or a word. */
export type ImageId = "none" | "decimal" | "hex" | "word";

/** Gives bytes of the file from `offset` on, counted from the first byte after the entry; fails where there are fewer. */
export type Look = (offset: number, length: number) => Uint8Array;

/** One kind of image file whose entries are `T`, after one head `H` where it has one. */
export interface ImageKind<T, H = undefined> {
  /** As `crit` names it, e.g. "CORE". */
  readonly name: string;
  readonly magic: number;
  /** The word before the magic; the inventory has none. */
  readonly first: number | undefined;
  /** File name with `*` where the id stands. */
  readonly file: string;
  readonly id: ImageId;
  readonly codec: () => Codec<T>;
  readonly head: (() => Codec<NonNullable<H>>) | undefined;
  /** How many raw bytes follow an entry, padding included. */
  payload?(entry: T, look: Look): number;
}

/** An image file that is not made of messages. */
export interface RawKind {
  readonly name: string;
  readonly file: string;
  readonly id: ImageId;
}

interface More<T> {
  first?: number | undefined;
  id?: ImageId;
  payload?(entry: T, look: Look): number;
}

function idOf(file: string): ImageId {
  return file.includes("*") ? "decimal" : "none";
}

function kind<T>(
  name: string,
  magic: number,
  file: string,
  codec: () => Codec<T>,
  more: More<T> = {},
): ImageKind<T> {
  return { name, magic, first: IMG_COMMON_MAGIC, file, id: idOf(file), codec, head: undefined, ...more };
}

function headed<T, H>(
  name: string,
  magic: number,
  file: string,
  head: () => Codec<NonNullable<H>>,
  codec: () => Codec<T>,
  more: More<T> = {},
): ImageKind<T, H> {
  return { name, magic, first: IMG_COMMON_MAGIC, file, id: idOf(file), codec, head, ...more };
}

function raw(name: string, file: string): RawKind {
  return { name, file, id: idOf(file) };
}

const cgroups = (): typeof Cgroups => Cgroups;
const files = (): typeof Files => Files;
const inventory = (): typeof Inventory => Inventory;
const memory = (): typeof Memory => Memory;
const namespaces = (): typeof Namespaces => Namespaces;
const process = (): typeof Process => Process;
const sockets = (): typeof Sockets => Sockets;
const stats = (): typeof Stats => Stats;

/** `size` rounded up to whole words of `word` bytes. */
function padded(size: number, word: number): number {
  return Math.ceil(size / word) * word;
}

/** The messages behind an ipc_msg_entry: each is framed as an entry is, and padded to 8 bytes. */
function messageQueue(queue: Namespaces.IpcMsgEntry, look: Look): number {
  let length = 0;
  for (let n = 0; n < queue.qnum; n++) {
    const frame = look(length, 4);
    const size = new DataView(frame.buffer, frame.byteOffset, 4).getUint32(0, true);
    const message = namespaces().IpcMsg.read(new Reader(look(length + 4, size)));
    length += 4 + size + padded(message.msize, 8);
  }
  return length;
}

const pipeBytes = (entry: Files.PipeDataEntry): number => entry.bytes;

/** Every image file of messages. */
export const IMAGES = {
  inventory: kind("INVENTORY", 0x58313116, "inventory.img", () => inventory().InventoryEntry, {
    first: undefined,
  }),
  cpuinfo: kind("CPUINFO", 0x61404013, "cpuinfo.img", () => inventory().CpuinfoEntry),
  apparmor: kind("APPARMOR", 0x59423047, "apparmor.img", () => inventory().ApparmorEntry),
  stats: kind("STATS", 0x57093306, "stats-*", () => stats().StatsEntry, {
    first: IMG_SERVICE_MAGIC,
    id: "word",
  }),
  irmap_cache: kind("IRMAP_CACHE", 0x57004059, "irmap-cache", () => files().IrmapCacheEntry, {
    first: IMG_SERVICE_MAGIC,
  }),

  // Processes; the id is a pid, of core a tid.
  pstree: kind("PSTREE", 0x50273030, "pstree.img", () => process().PstreeEntry),
  core: kind("CORE", 0x55053847, "core-*.img", () => process().CoreEntry),
  ids: kind("IDS", 0x54432030, "ids-*.img", () => process().TaskKobjIdsEntry),
  fs: kind("FS", 0x51403912, "fs-*.img", () => process().FsEntry),
  seccomp: kind("SECCOMP", 0x64413049, "seccomp.img", () => process().SeccompEntry),
  cgroup: kind("CGROUP", 0x59383330, "cgroup.img", () => cgroups().CgroupEntry),

  // Memory; pagemap's id is a pid, shmem_pagemap's a shmid.
  mm: kind("MM", 0x57492820, "mm-*.img", () => memory().MmEntry),
  pagemap: headed<Memory.PagemapEntry, Memory.PagemapHead>(
    "PAGEMAP",
    0x56084025,
    "pagemap-*.img",
    () => memory().PagemapHead,
    () => memory().PagemapEntry,
  ),
  shmem_pagemap: headed<Memory.PagemapEntry, Memory.PagemapHead>(
    "PAGEMAP",
    0x56084025,
    "pagemap-shmem-*.img",
    () => memory().PagemapHead,
    () => memory().PagemapEntry,
  ),
  memfd_inode: kind("MEMFD_INODE", 0x48453499, "memfd.img", () => memory().MemfdInodeEntry),

  // Files; fdinfo's id is a files_id.
  fdinfo: kind("FDINFO", 0x56213732, "fdinfo-*.img", () => files().FdinfoEntry),
  files: kind("FILES", 0x56303138, "files.img", () => files().FileEntry),
  pipes_data: kind("PIPES_DATA", 0x56453709, "pipes-data.img", () => files().PipeDataEntry, {
    payload: pipeBytes,
  }),
  fifo_data: kind("FIFO_DATA", 0x59333054, "fifo-data.img", () => files().PipeDataEntry, {
    payload: pipeBytes,
  }),
  tty_info: kind("TTY_INFO", 0x59453036, "tty-info.img", () => files().TtyInfoEntry),
  tty_data: kind("TTY_DATA", 0x59413026, "tty-data.img", () => files().TtyDataEntry),
  remap_fpath: kind("REMAP_FPATH", 0x59133954, "remap-fpath.img", () => files().RemapFilePathEntry),
  // Without chunks the content follows the head alone, up to the file's end: ImageReader.rest().
  ghost_file: headed<Files.GhostChunkEntry, Files.GhostFileEntry>(
    "GHOST_FILE",
    0x52583605,
    "ghost-file-*.img",
    () => files().GhostFileEntry,
    () => files().GhostChunkEntry,
    { id: "hex", payload: (chunk) => Number(chunk.len) },
  ),
  file_locks: kind("FILE_LOCKS", 0x54323616, "filelocks.img", () => files().FileLockEntry),
  bpfmap_data: kind("BPFMAP_DATA", 0x64324033, "bpfmap-data.img", () => files().BpfmapDataEntry, {
    payload: (entry) => entry.keys_bytes + entry.values_bytes,
  }),

  // Sockets; tcp_stream's id is the socket's ino.
  sk_queues: kind("SK_QUEUES", 0x56264026, "sk-queues.img", () => sockets().SkPacketEntry, {
    payload: (entry) => entry.length,
  }),
  tcp_stream: kind("TCP_STREAM", 0x51465506, "tcp-stream-*.img", () => sockets().TcpStreamEntry, {
    id: "hex",
    payload: (entry) => entry.inq_len + entry.outq_len,
  }),

  // Namespaces; the id is the namespace's, autofs' the mount's.
  mnts: kind("MNTS", 0x55563928, "mountpoints-*.img", () => namespaces().MntEntry),
  binfmt_misc: kind("BINFMT_MISC", 0x67343323, "binfmt-misc.img", () => namespaces().BinfmtMiscEntry),
  autofs: kind("AUTOFS", 0x49353943, "autofs-*.img", () => namespaces().AutofsEntry),
  netdev: kind("NETDEV", 0x57373951, "netdev-*.img", () => namespaces().NetDeviceEntry),
  netns: kind("NETNS", 0x55933752, "netns-*.img", () => namespaces().NetnsEntry),
  ipc_var: kind("IPC_VAR", 0x53115007, "ipcns-var-*.img", () => namespaces().IpcVarEntry),
  ipcns_shm: kind("IPCNS_SHM", 0x46283044, "ipcns-shm-*.img", () => namespaces().IpcShmEntry, {
    payload: (entry) => (entry.in_pagemaps ? 0 : padded(Number(entry.size), 4)),
  }),
  ipcns_msg: kind("IPCNS_MSG", 0x55453737, "ipcns-msg-*.img", () => namespaces().IpcMsgEntry, {
    payload: messageQueue,
  }),
  ipcns_sem: kind("IPCNS_SEM", 0x59573019, "ipcns-sem-*.img", () => namespaces().IpcSemEntry, {
    payload: (entry) => padded(entry.nsems * 2, 8),
  }),
  utsns: kind("UTSNS", 0x54473203, "utsns-*.img", () => namespaces().UtsnsEntry),
  userns: kind("USERNS", 0x55474906, "userns-*.img", () => namespaces().UsernsEntry),
  pidns: kind("PIDNS", 0x61157326, "pidns-*.img", () => namespaces().PidnsEntry),
  timens: kind("TIMENS", 0x43114433, "timens-*.img", () => namespaces().TimensEntry),

  // Not written any more: what older dumps had in place of core, mm and files.
  creds: kind("CREDS", 0x54023547, "creds-*.img", () => process().CredsEntry),
  vmas: kind("VMAS", 0x54123737, "vmas-*.img", () => memory().VmaEntry),
  sigact: kind("SIGACT", 0x55344201, "sigacts-*.img", () => process().SaEntry),
  itimers: kind("ITIMERS", 0x57464056, "itimers-*.img", () => process().ItimerEntry),
  posix_timers: kind("POSIX_TIMERS", 0x52603957, "posix-timers-*.img", () => process().PosixTimerEntry),
  rlimit: kind("RLIMIT", 0x57113925, "rlimit-*.img", () => process().RlimitEntry),
  signal: kind("SIGNAL", 0x59255647, "signal-s-*.img", () => process().SiginfoEntry),
  psignal: kind("SIGNAL", 0x59255647, "signal-p-*.img", () => process().SiginfoEntry),
  reg_files: kind("REG_FILES", 0x50363636, "reg-files.img", () => files().RegFileEntry),
  ext_files: kind("EXT_FILES", 0x59255641, "ext-files.img", () => files().ExtFileEntry),
  ns_files: kind("NS_FILES", 0x61394011, "ns-files.img", () => files().NsFileEntry),
  eventfd_file: kind("EVENTFD_FILE", 0x44523722, "eventfd.img", () => files().EventfdFileEntry),
  eventpoll_file: kind("EVENTPOLL_FILE", 0x45023858, "eventpoll.img", () => files().EventpollFileEntry),
  eventpoll_tfd: kind("EVENTPOLL_TFD", 0x44433746, "eventpoll-tfd.img", () => files().EventpollTfdEntry),
  signalfd: kind("SIGNALFD", 0x57323820, "signalfd.img", () => files().SignalfdEntry),
  inotify_file: kind("INOTIFY_FILE", 0x48424431, "inotify.img", () => files().InotifyFileEntry),
  inotify_wd: kind("INOTIFY_WD", 0x54562009, "inotify-wd.img", () => files().InotifyWdEntry),
  fanotify_file: kind("FANOTIFY_FILE", 0x55096122, "fanotify.img", () => files().FanotifyFileEntry),
  fanotify_mark: kind("FANOTIFY_MARK", 0x56506035, "fanotify-mark.img", () => files().FanotifyMarkEntry),
  pipes: kind("PIPES", 0x56513555, "pipes.img", () => files().PipeEntry),
  fifo: kind("FIFO", 0x58364939, "fifo.img", () => files().FifoEntry),
  tty_files: kind("TTY_FILES", 0x59433025, "tty.img", () => files().TtyFileEntry),
  timerfd: kind("TIMERFD", 0x50493712, "timerfd.img", () => files().TimerfdEntry),
  tunfile: kind("TUNFILE", 0x57143751, "tunfile.img", () => files().TunfileEntry),
  bpfmap_file: kind("BPFMAP_FILE", 0x57506142, "bpfmap-file.img", () => files().BpfmapFileEntry),
  pidfd: kind("PIDFD", 0x54435556, "pidfd.img", () => files().PidfdEntry),
  unixsk: kind("UNIXSK", 0x54373943, "unixsk.img", () => sockets().UnixSkEntry),
  inetsk: kind("INETSK", 0x56443851, "inetsk.img", () => sockets().InetSkEntry),
  packetsk: kind("PACKETSK", 0x60454618, "packetsk.img", () => sockets().PacketSockEntry),
  netlink_sk: kind("NETLINK_SK", 0x58005614, "netlinksk.img", () => sockets().NetlinkSkEntry),
  binfmt_misc_old: kind("BINFMT_MISC", 0x67343323, "binfmt-misc-*.img", () => namespaces().BinfmtMiscEntry),
} as const;

/** Every image file that holds something else, as it comes: pages, and what ip, iptables-save or tar wrote. */
export const RAW_IMAGES = {
  pages: raw("PAGES", "pages-*.img"),
  ifaddr: raw("IFADDR", "ifaddr-*.img"),
  route: raw("ROUTE", "route-*.img"),
  route6: raw("ROUTE6", "route6-*.img"),
  rule: raw("RULE", "rule-*.img"),
  iptables: raw("IPTABLES", "iptables-*.img"),
  ip6tables: raw("IP6TABLES", "ip6tables-*.img"),
  nftables: raw("NFTABLES", "nftables-*.img"),
  netns_ct: raw("NETNF_CT", "netns-ct-*.img"),
  netns_exp: raw("NETNF_EXP", "netns-exp-*.img"),
  tmpfs: raw("TMPFS_IMG", "tmpfs-*.tar.gz.img"),
  tmpfs_dev: raw("TMPFS_DEV", "tmpfs-dev-*.tar.gz.img"),
} as const;

/** A kind of any entry type, for code that goes by the table. */
export type AnyImageKind = ImageKind<unknown, unknown>;

/** The kind that a file with this magic holds (the one that is written now, where two share a magic). */
export function kindOfMagic(magic: number): AnyImageKind | undefined {
  return Object.values<AnyImageKind>(IMAGES).find((candidate) => candidate.magic === magic);
}

/** A file's name, e.g. `fileName(IMAGES.core, 12)` is "core-12.img". */
export function fileName(kind: AnyImageKind | RawKind, id?: number | bigint | string): string {
  if (kind.id === "none") return kind.file;
  if (id === undefined) throw new TypeError(`${kind.file} needs an id`);
  return kind.file.replace("*", kind.id === "hex" ? id.toString(16) : id.toString());
}
