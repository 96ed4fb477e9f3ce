// The kinds of image files that are made of messages, each by itself: what a program does not use, table row and codec,
// is then left out of it by the bundler (hence the marks that these calls do nothing else).
//
// A kind's name is CRIU's name for its magic in small letters, e.g. `reg_files` and REG_FILES.

import { headed, IMG_SERVICE_MAGIC, kind, type Look } from "./kind.ts";
import * as Cgroups from "./schema/generated/cgroups.ts";
import * as Files from "./schema/generated/files.ts";
import * as Inventory from "./schema/generated/inventory.ts";
import * as Memory from "./schema/generated/memory.ts";
import * as Namespaces from "./schema/generated/namespaces.ts";
import * as Process from "./schema/generated/process.ts";
import * as Sockets from "./schema/generated/sockets.ts";
import * as Stats from "./schema/generated/stats.ts";
import { Reader } from "./wire.ts";

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
    const message = Namespaces.IpcMsg.read(new Reader(look(length + 4, size)));
    length += 4 + size + padded(message.msize, 8);
  }
  return length;
}

const pipeBytes = (entry: Files.PipeDataEntry): number => entry.bytes;

export const inventory = /* @__PURE__ */ kind(
  "INVENTORY",
  0x58313116,
  "inventory.img",
  Inventory.InventoryEntry,
  {
    first: null,
  },
);
export const cpuinfo = /* @__PURE__ */ kind("CPUINFO", 0x61404013, "cpuinfo.img", Inventory.CpuinfoEntry);
export const apparmor = /* @__PURE__ */ kind("APPARMOR", 0x59423047, "apparmor.img", Inventory.ApparmorEntry);
export const stats = /* @__PURE__ */ kind("STATS", 0x57093306, "stats-*", Stats.StatsEntry, {
  first: IMG_SERVICE_MAGIC,
  id: "word",
});
export const irmap_cache = /* @__PURE__ */ kind(
  "IRMAP_CACHE",
  0x57004059,
  "irmap-cache",
  Files.IrmapCacheEntry,
  {
    first: IMG_SERVICE_MAGIC,
  },
);

// Processes; the id is a pid, of core a tid.
export const pstree = /* @__PURE__ */ kind("PSTREE", 0x50273030, "pstree.img", Process.PstreeEntry);
export const core = /* @__PURE__ */ kind("CORE", 0x55053847, "core-*.img", Process.CoreEntry);
export const ids = /* @__PURE__ */ kind("IDS", 0x54432030, "ids-*.img", Process.TaskKobjIdsEntry);
export const fs = /* @__PURE__ */ kind("FS", 0x51403912, "fs-*.img", Process.FsEntry);
export const seccomp = /* @__PURE__ */ kind("SECCOMP", 0x64413049, "seccomp.img", Process.SeccompEntry);
export const cgroup = /* @__PURE__ */ kind("CGROUP", 0x59383330, "cgroup.img", Cgroups.CgroupEntry);

// Memory; pagemap's id is a pid, shmem_pagemap's a shmid.
export const mm = /* @__PURE__ */ kind("MM", 0x57492820, "mm-*.img", Memory.MmEntry);
export const pagemap = /* @__PURE__ */ headed<Memory.PagemapEntry, Memory.PagemapHead>(
  "PAGEMAP",
  0x56084025,
  "pagemap-*.img",
  Memory.PagemapHead,
  Memory.PagemapEntry,
);
export const shmem_pagemap = /* @__PURE__ */ headed<Memory.PagemapEntry, Memory.PagemapHead>(
  "PAGEMAP",
  0x56084025,
  "pagemap-shmem-*.img",
  Memory.PagemapHead,
  Memory.PagemapEntry,
);
export const memfd_inode = /* @__PURE__ */ kind(
  "MEMFD_INODE",
  0x48453499,
  "memfd.img",
  Memory.MemfdInodeEntry,
);

// Files; fdinfo's id is a files_id.
export const fdinfo = /* @__PURE__ */ kind("FDINFO", 0x56213732, "fdinfo-*.img", Files.FdinfoEntry);
export const files = /* @__PURE__ */ kind("FILES", 0x56303138, "files.img", Files.FileEntry);
export const pipes_data = /* @__PURE__ */ kind(
  "PIPES_DATA",
  0x56453709,
  "pipes-data.img",
  Files.PipeDataEntry,
  {
    payload: pipeBytes,
  },
);
export const fifo_data = /* @__PURE__ */ kind("FIFO_DATA", 0x59333054, "fifo-data.img", Files.PipeDataEntry, {
  payload: pipeBytes,
});
export const tty_info = /* @__PURE__ */ kind("TTY_INFO", 0x59453036, "tty-info.img", Files.TtyInfoEntry);
export const tty_data = /* @__PURE__ */ kind("TTY_DATA", 0x59413026, "tty-data.img", Files.TtyDataEntry);
export const remap_fpath = /* @__PURE__ */ kind(
  "REMAP_FPATH",
  0x59133954,
  "remap-fpath.img",
  Files.RemapFilePathEntry,
);
// Without chunks the content follows the head alone, up to the file's end: ImageReader.rest().
export const ghost_file = /* @__PURE__ */ headed<Files.GhostChunkEntry, Files.GhostFileEntry>(
  "GHOST_FILE",
  0x52583605,
  "ghost-file-*.img",
  Files.GhostFileEntry,
  Files.GhostChunkEntry,
  { id: "hex", payload: (chunk) => Number(chunk.len) },
);
export const file_locks = /* @__PURE__ */ kind(
  "FILE_LOCKS",
  0x54323616,
  "filelocks.img",
  Files.FileLockEntry,
);
export const bpfmap_data = /* @__PURE__ */ kind(
  "BPFMAP_DATA",
  0x64324033,
  "bpfmap-data.img",
  Files.BpfmapDataEntry,
  {
    payload: (entry) => entry.keys_bytes + entry.values_bytes,
  },
);

// Sockets; tcp_stream's id is the socket's ino.
export const sk_queues = /* @__PURE__ */ kind(
  "SK_QUEUES",
  0x56264026,
  "sk-queues.img",
  Sockets.SkPacketEntry,
  {
    payload: (entry) => entry.length,
  },
);
export const tcp_stream = /* @__PURE__ */ kind(
  "TCP_STREAM",
  0x51465506,
  "tcp-stream-*.img",
  Sockets.TcpStreamEntry,
  {
    id: "hex",
    payload: (entry) => entry.inq_len + entry.outq_len,
  },
);

// Namespaces; the id is the namespace's, autofs' the device's.
export const mnts = /* @__PURE__ */ kind("MNTS", 0x55563928, "mountpoints-*.img", Namespaces.MntEntry);
export const binfmt_misc = /* @__PURE__ */ kind(
  "BINFMT_MISC",
  0x67343323,
  "binfmt-misc.img",
  Namespaces.BinfmtMiscEntry,
);
export const autofs = /* @__PURE__ */ kind("AUTOFS", 0x49353943, "autofs-*.img", Namespaces.AutofsEntry);
export const netdev = /* @__PURE__ */ kind("NETDEV", 0x57373951, "netdev-*.img", Namespaces.NetDeviceEntry);
export const netns = /* @__PURE__ */ kind("NETNS", 0x55933752, "netns-*.img", Namespaces.NetnsEntry);
export const ipc_var = /* @__PURE__ */ kind("IPC_VAR", 0x53115007, "ipcns-var-*.img", Namespaces.IpcVarEntry);
export const ipcns_shm = /* @__PURE__ */ kind(
  "IPCNS_SHM",
  0x46283044,
  "ipcns-shm-*.img",
  Namespaces.IpcShmEntry,
  {
    payload: (entry) => (entry.in_pagemaps ? 0 : padded(Number(entry.size), 4)),
  },
);
export const ipcns_msg = /* @__PURE__ */ kind(
  "IPCNS_MSG",
  0x55453737,
  "ipcns-msg-*.img",
  Namespaces.IpcMsgEntry,
  {
    payload: messageQueue,
  },
);
export const ipcns_sem = /* @__PURE__ */ kind(
  "IPCNS_SEM",
  0x59573019,
  "ipcns-sem-*.img",
  Namespaces.IpcSemEntry,
  {
    payload: (entry) => padded(entry.nsems * 2, 8),
  },
);
export const utsns = /* @__PURE__ */ kind("UTSNS", 0x54473203, "utsns-*.img", Namespaces.UtsnsEntry);
export const userns = /* @__PURE__ */ kind("USERNS", 0x55474906, "userns-*.img", Namespaces.UsernsEntry);
export const pidns = /* @__PURE__ */ kind("PIDNS", 0x61157326, "pidns-*.img", Namespaces.PidnsEntry);
export const timens = /* @__PURE__ */ kind("TIMENS", 0x43114433, "timens-*.img", Namespaces.TimensEntry);

// Not written any more: what older dumps had in place of core, mm and files.
export const creds = /* @__PURE__ */ kind("CREDS", 0x54023547, "creds-*.img", Process.CredsEntry);
export const vmas = /* @__PURE__ */ kind("VMAS", 0x54123737, "vmas-*.img", Memory.VmaEntry);
export const sigact = /* @__PURE__ */ kind("SIGACT", 0x55344201, "sigacts-*.img", Process.SaEntry);
export const itimers = /* @__PURE__ */ kind("ITIMERS", 0x57464056, "itimers-*.img", Process.ItimerEntry);
export const posix_timers = /* @__PURE__ */ kind(
  "POSIX_TIMERS",
  0x52603957,
  "posix-timers-*.img",
  Process.PosixTimerEntry,
);
export const rlimit = /* @__PURE__ */ kind("RLIMIT", 0x57113925, "rlimit-*.img", Process.RlimitEntry);
export const signal = /* @__PURE__ */ kind("SIGNAL", 0x59255647, "signal-s-*.img", Process.SiginfoEntry);
export const psignal = /* @__PURE__ */ kind("SIGNAL", 0x59255647, "signal-p-*.img", Process.SiginfoEntry);
export const reg_files = /* @__PURE__ */ kind("REG_FILES", 0x50363636, "reg-files.img", Files.RegFileEntry);
export const ext_files = /* @__PURE__ */ kind("EXT_FILES", 0x59255641, "ext-files.img", Files.ExtFileEntry);
export const ns_files = /* @__PURE__ */ kind("NS_FILES", 0x61394011, "ns-files.img", Files.NsFileEntry);
export const eventfd_file = /* @__PURE__ */ kind(
  "EVENTFD_FILE",
  0x44523722,
  "eventfd.img",
  Files.EventfdFileEntry,
);
export const eventpoll_file = /* @__PURE__ */ kind(
  "EVENTPOLL_FILE",
  0x45023858,
  "eventpoll.img",
  Files.EventpollFileEntry,
);
export const eventpoll_tfd = /* @__PURE__ */ kind(
  "EVENTPOLL_TFD",
  0x44433746,
  "eventpoll-tfd.img",
  Files.EventpollTfdEntry,
);
export const signalfd = /* @__PURE__ */ kind("SIGNALFD", 0x57323820, "signalfd.img", Files.SignalfdEntry);
export const inotify_file = /* @__PURE__ */ kind(
  "INOTIFY_FILE",
  0x48424431,
  "inotify.img",
  Files.InotifyFileEntry,
);
export const inotify_wd = /* @__PURE__ */ kind(
  "INOTIFY_WD",
  0x54562009,
  "inotify-wd.img",
  Files.InotifyWdEntry,
);
export const fanotify_file = /* @__PURE__ */ kind(
  "FANOTIFY_FILE",
  0x55096122,
  "fanotify.img",
  Files.FanotifyFileEntry,
);
export const fanotify_mark = /* @__PURE__ */ kind(
  "FANOTIFY_MARK",
  0x56506035,
  "fanotify-mark.img",
  Files.FanotifyMarkEntry,
);
export const pipes = /* @__PURE__ */ kind("PIPES", 0x56513555, "pipes.img", Files.PipeEntry);
export const fifo = /* @__PURE__ */ kind("FIFO", 0x58364939, "fifo.img", Files.FifoEntry);
export const tty_files = /* @__PURE__ */ kind("TTY_FILES", 0x59433025, "tty.img", Files.TtyFileEntry);
export const timerfd = /* @__PURE__ */ kind("TIMERFD", 0x50493712, "timerfd.img", Files.TimerfdEntry);
export const tunfile = /* @__PURE__ */ kind("TUNFILE", 0x57143751, "tunfile.img", Files.TunfileEntry);
export const bpfmap_file = /* @__PURE__ */ kind(
  "BPFMAP_FILE",
  0x57506142,
  "bpfmap-file.img",
  Files.BpfmapFileEntry,
);
export const pidfd = /* @__PURE__ */ kind("PIDFD", 0x54435556, "pidfd.img", Files.PidfdEntry);
export const unixsk = /* @__PURE__ */ kind("UNIXSK", 0x54373943, "unixsk.img", Sockets.UnixSkEntry);
export const inetsk = /* @__PURE__ */ kind("INETSK", 0x56443851, "inetsk.img", Sockets.InetSkEntry);
export const packetsk = /* @__PURE__ */ kind("PACKETSK", 0x60454618, "packetsk.img", Sockets.PacketSockEntry);
export const netlink_sk = /* @__PURE__ */ kind(
  "NETLINK_SK",
  0x58005614,
  "netlinksk.img",
  Sockets.NetlinkSkEntry,
);
export const binfmt_misc_old = /* @__PURE__ */ kind(
  "BINFMT_MISC",
  0x67343323,
  "binfmt-misc-*.img",
  Namespaces.BinfmtMiscEntry,
);
