/**
 * What a kernel has to offer: one table, asked by `criu check`. The names are CRIU 4.2's, for `--feature`; what has none is
 * asked of by category alone. Each is asked by trying; none by the number of the kernel's version.
 */
import * as files from "./files.ts";
import * as memory from "./memory.ts";
import * as namespaces from "./namespaces.ts";
import { PARTS, type Part } from "./parts.ts";
import * as sockets from "./sockets.ts";
import * as tasks from "./tasks.ts";

/**
 * 1: nothing can be dumped or restored without. 2: some processes need it. 3: experimental. 0: only asked by its name, since
 * nothing of ours needs it or it is part of another one.
 */
export type Category = 0 | 1 | 2 | 3;

export interface Feature {
  /** CRIU's name of it. */
  readonly name?: string;
  readonly category: Category;
  /** What it is, for messages. */
  readonly what: string;
  /** What cannot be saved, or done, where it is missing. */
  readonly without: string;
  /** Asks the kernel. @throws Error whose message says what the kernel did instead */
  readonly ask: () => void;
  /** What of ours has to be built for it to be of use. */
  readonly part?: Part;
}

const NOTHING = "no process at all";

// biome-ignore format: a table, one feature a paragraph
const REQUIRED: readonly Feature[] = [
  { category: 1, what: "holding and reading tasks by ptrace", without: NOTHING, ask: tasks.hold },
  { category: 1, what: "reading and writing memory of others", without: NOTHING, ask: memory.otherMemory },
  { category: 1, what: "descriptors of others by pidfd", without: NOTHING, ask: tasks.pidfds },
  { category: 1, what: "comparing objects by kcmp", without: NOTHING, ask: tasks.compareKinds },
  { category: 1, what: "/proc/PID/stat with the memory layout", without: NOTHING, ask: tasks.statFields },
  { category: 1, what: "/proc/PID/map_files", without: "processes that map files", ask: memory.mapFiles },
  { category: 1, what: "setting the memory layout (PR_SET_MM)", without: NOTHING, ask: memory.setMemoryMap },
  { category: 1, what: "PR_GET_TID_ADDRESS", without: NOTHING, ask: tasks.tidAddress },
  { category: 1, what: "the state of descriptors in fdinfo", without: "eventfd, epoll, signalfd and inotify descriptors", ask: files.fdinfoOfKinds },
  { category: 1, what: "F_GETOWNER_UIDS", without: "files that send signals", ask: files.ownerUids },
  { category: 1, what: "forged siginfo", without: "processes with pending signals", ask: tasks.forgedSignals },
  { category: 1, what: "locking of pseudo terminals", without: "terminals", ask: files.terminalLock },
  { category: 1, what: "lists of sockets (sock_diag)", without: "sockets", ask: sockets.socketLists },
  { category: 1, what: "SO_PEEK_OFF", without: "what waits in the queues of Unix sockets", ask: sockets.peekOffset },
  { category: 1, what: "SO_GET_FILTER and SO_BINDTODEVICE", without: "sockets with filters or bound to devices", ask: sockets.filterAndDevice },
  { category: 1, what: "TCP_REPAIR", without: "TCP connections", ask: sockets.tcpRepair },
];

// biome-ignore format: a table, one feature a paragraph
const NAMED: readonly Feature[] = [
  { name: "mnt_id", category: 2, what: "mnt_id in fdinfo", ask: files.mountId,
    without: "which mount a file was opened on" },
  { name: "mem_dirty_track", category: 2, what: "dumps of what has changed in memory", ask: memory.changedPages, part: PARTS.preDump,
    without: "only what changed since the dump before" },
  { name: "aio_remap", category: 2, what: "moving of AIO rings", ask: memory.moveAioRing, part: PARTS.aio,
    without: "processes that use io_setup(2)" },
  { name: "timerfd", category: 2, what: "setting the ticks of timerfds", ask: files.timerfdTicks, part: PARTS.timerfd,
    without: "timerfds that have expired" },
  { name: "tun", category: 2, what: "tun devices", ask: files.tunIndex, part: PARTS.tun,
    without: "tun and tap devices" },
  { name: "tun_ns", category: 0, what: "the namespace of tun devices", ask: files.tunNamespace, part: PARTS.tun,
    without: "tun and tap devices of other network namespaces" },
  { name: "userns", category: 2, what: "user namespaces", ask: namespaces.userNamespaces, part: PARTS.userNamespaces,
    without: "processes in user namespaces" },
  { name: "fdinfo_lock", category: 2, what: "locks in fdinfo", ask: files.lockLines, part: PARTS.locks,
    without: "file locks" },
  { name: "seccomp_suspend", category: 2, what: "suspending seccomp", ask: tasks.suspendSeccomp,
    without: "processes under seccomp" },
  { name: "seccomp_filters", category: 2, what: "reading seccomp filters", ask: tasks.readFilters,
    without: "processes with seccomp filters" },
  { name: "loginuid", category: 2, what: "setting the login uid", ask: tasks.loginUid,
    without: "the login uid that the audit log shows" },
  { name: "cgroupns", category: 2, what: "cgroup namespaces", ask: namespaces.cgroupNamespaces, part: PARTS.cgroupNamespaces,
    without: "processes in cgroup namespaces" },
  { name: "autofs", category: 3, what: "autofs", ask: namespaces.autofsPipe, part: PARTS.autofs,
    without: "mounts of autofs" },
  { name: "tcp_half_closed", category: 2, what: "repair of half-closed TCP connections", ask: sockets.tcpHalfClosed, part: PARTS.tcp,
    without: "TCP connections of which one side is shut" },
  { name: "compat_cr", category: 3, what: "32-bit programs", ask: memory.mapVdso32, part: PARTS.compat,
    without: "32-bit programs" },
  { name: "uffd", category: 2, what: "userfaultfd", ask: memory.userfault, part: PARTS.lazyPages,
    without: "nothing; but memory cannot be restored on demand" },
  { name: "uffd-noncoop", category: 2, what: "userfaultfd with events", ask: memory.userfaultEvents, part: PARTS.lazyPages,
    without: "nothing; but memory cannot be restored on demand" },
  { name: "can_map_vdso", category: 1, what: "mapping of the vDSO", ask: memory.mapVdso, without: NOTHING },
  { name: "sk_ns", category: 2, what: "the namespace of sockets", ask: sockets.socketNamespace, part: PARTS.netNamespaces,
    without: "sockets of several network namespaces" },
  { name: "sk_unix_file", category: 0, what: "the file of a Unix socket", ask: sockets.unixFile, part: PARTS.unixSockets,
    without: "Unix sockets bound to names that are covered or gone" },
  { name: "net_diag_raw", category: 2, what: "raw sockets", ask: sockets.rawSockets, part: PARTS.inetSockets,
    without: "raw sockets" },
  { name: "nsid", category: 0, what: "ids of network namespaces", ask: namespaces.namespaceIds, part: PARTS.netNamespaces,
    without: "which network namespaces know each other" },
  { name: "link_nsid", category: 0, what: "ids of network namespaces of links", ask: namespaces.linkNamespaceId, part: PARTS.netNamespaces,
    without: "veth devices between network namespaces" },
  { name: "kcmp_epoll", category: 2, what: "comparing what epoll watches", ask: tasks.compareEpoll, part: PARTS.epoll,
    without: "epoll descriptors that watch descriptors closed or moved since" },
  { name: "timens", category: 2, what: "time namespaces", ask: namespaces.timeNamespaces, part: PARTS.timeNamespaces,
    without: "processes in time namespaces; the clocks of others cannot go on where they were" },
  { name: "external_net_ns", category: 0, what: "external network namespaces", ask: namespaces.netNamespaceFile, part: PARTS.netNamespaces,
    without: "containers whose network namespace is given from outside" },
  { name: "clone3_set_tid", category: 1, what: "births with chosen ids (clone3 set_tid)", ask: tasks.chosenPid, without: NOTHING },
  { name: "newifindex", category: 2, what: "moving of links with a chosen index", ask: namespaces.newLinkIndex, part: PARTS.netNamespaces,
    without: "network devices that are moved into a container under their index" },
  { name: "nftables", category: 0, what: "nftables", ask: namespaces.nftables, part: PARTS.netNamespaces,
    without: "the rules of nftables" },
  { name: "has_ipt_legacy", category: 0, what: "iptables as it was before nftables", ask: sockets.legacyIptables, part: PARTS.netNamespaces,
    without: "the rules of iptables-legacy" },
  { name: "pidfd_store", category: 2, what: "pidfds that are kept between dumps", ask: tasks.pidfds, part: PARTS.preDump,
    without: "nothing; but a pid used again between two dumps is known by its time of birth only" },
  { name: "ns_pid", category: 2, what: "NSpid in /proc/PID/status", ask: tasks.innerPids, part: PARTS.pidNamespaces,
    without: "processes in pid namespaces" },
  { name: "apparmor_stacking", category: 0, what: "stacked AppArmor profiles", ask: namespaces.apparmorStacks, part: PARTS.apparmor,
    without: "AppArmor namespaces and profiles inside of containers" },
  { name: "network_lock_nftables", category: 2, what: "locking the network by nftables", ask: namespaces.nftablesConcatenation, part: PARTS.tcp,
    without: "TCP connections with --network-lock nftables" },
  { name: "sockopt_buf_lock", category: 2, what: "SO_BUF_LOCK", ask: sockets.bufferLock, part: PARTS.inetSockets,
    without: "whether the sizes of a socket's buffers were set by its program" },
  { name: "memfd_hugetlb", category: 2, what: "memfds of huge pages", ask: memory.hugeMemfd,
    without: "memfds of huge pages" },
  { name: "move_mount_set_group", category: 2, what: "MOVE_MOUNT_SET_GROUP", ask: namespaces.moveMountSetGroup, part: PARTS.mounts,
    without: "mounts that share what is mounted on them" },
  { name: "openat2", category: 2, what: "openat2", ask: files.openInRoot,
    without: "files of containers whose links lead outside" },
  { name: "get_rseq_conf", category: 2, what: "reading rseq registrations", ask: tasks.readRseq,
    without: "programs that use rseq(2), as those of glibc 2.35 and later do" },
  { name: "ipv6_freebind", category: 2, what: "IPV6_FREEBIND", ask: sockets.freebind, part: PARTS.inetSockets,
    without: "IPv6 sockets bound to addresses that are not there yet" },
  { name: "pagemap_scan", category: 2, what: "the PAGEMAP_SCAN ioctl", ask: memory.pagemapScan,
    without: "nothing; but dumps of large memory take longer" },
  { name: "timer_cr_ids", category: 2, what: "timers with chosen ids", ask: tasks.chosenTimerIds,
    without: "nothing; but timers with large ids take long to restore" },
  { name: "overlayfs_maps", category: 2, what: "overlays in /proc/PID/maps", ask: memory.overlayMaps,
    without: "mapped files of overlays, as containers have them" },
  { name: "breakpoints", category: 0, what: "breakpoints of the processor", ask: tasks.breakpoints,
    without: "nothing" },
  { name: "pagemap_scan_guard_pages", category: 2, what: "guards in PAGEMAP_SCAN", ask: memory.pagemapScanGuards,
    without: "processes that use madvise(MADV_GUARD_INSTALL)" },
];

// biome-ignore format: a table, one feature a paragraph
const UNNAMED: readonly Feature[] = [
  { category: 2, what: "/proc/PID/timers", ask: tasks.timersFile, without: "processes with POSIX timers" },
  { category: 2, what: "TCP_REPAIR_WINDOW", ask: sockets.tcpWindow, without: "TCP connections at full speed" },
  { category: 2, what: "ids of System V objects to come", ask: files.semNextId, without: "System V objects of IPC namespaces" },
  { category: 2, what: "pid namespaces", ask: namespaces.pidNamespaces, part: PARTS.pidNamespaces,
    without: "processes in pid namespaces" },
];

/** All of them; those of category 1 first. */
export const FEATURES: readonly Feature[] = [...REQUIRED, ...NAMED, ...UNNAMED];

/** The names that `--feature` takes, in CRIU's order. */
export const FEATURE_NAMES: readonly string[] = NAMED.flatMap(({ name }) => name ?? []);

export function featureOf(name: string): Feature | undefined {
  return NAMED.find((feature) => feature.name === name);
}

/** Why a feature is of no use here, in words; undefined where it is there. Never throws. */
export function whyMissing({ ask, part }: Feature): string | undefined {
  try {
    ask();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (part?.built === false) return `the kernel has it, but this version of ours is without ${part.what}`;
  return undefined;
}

/** Whether a feature is there and of use, by CRIU's name: what FEATURE_CHECK of the RPC answers. @throws Error for no feature's name */
export function isSupported(name: string): boolean {
  const feature = featureOf(name);
  if (feature === undefined) throw new Error(`no feature ${name}`);
  return whyMissing(feature) === undefined;
}
