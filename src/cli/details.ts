/** What there is to say of options beyond their one line: for `criu help OPTION` and the manual page. */
import type { Options } from "../options.ts";

export const DETAILS: { readonly [K in keyof Options]?: string } = {
  verbosity: `Each v says one level more than the two of a plain start: -v is 3, -vv is 4. Times stand in front of lines from
    level 3 on.`,
  logFile: `An existing file is emptied. A relative name counts from the work directory. Without this option the log goes to
    standard error; for a request by RPC to criu.log.`,
  logPid: `Needs --log-file. Lines that are about no process stay in FILE itself.`,
  imagesDir: `The current directory if not given. It has to exist.`,
  workDir: `It becomes the current directory: relative names of all other options but --images-dir count from there.`,
  config: `It stands in for /etc/criu/default.conf and ~/.criu/default.conf; the file that CRIU_CONFIG_FILE names is read as
    well. What stands on the command line counts more than any file.`,
  pidfile: `In decimal, without a line end. A file that is there already and says something else is not overwritten: the
    command fails.`,
  displayStats: `The same figures are written to stats-dump and stats-restore in the work directory, with or without this.`,
  close: `For descriptors that whoever started criu has leaked into it. May be given several times.`,
  libdir: `Plugins are modules of TypeScript or JavaScript; docs/plugins.md tells how one is written. Without this option they are
    looked for in CRIU_LIBS_DIR, and in /usr/lib/criu.`,
  actionScript: `May be given several times; the script given last is run first. It finds the stage in CRTOOLS_SCRIPT_ACTION, a
    path to the images in CRTOOLS_IMAGE_DIR, and the pid of the tree's root in CRTOOLS_INIT_PID. What it prints goes to the log. One
    that fails makes the command fail and everything is put back, but at pre-resume, post-resume and network-unlock, where it is too
    late. A failure at post-dump leaves whole images and a running tree, and is the exit code of the command.`,
  unprivileged: `CAP_CHECKPOINT_RESTORE is still needed. What the tree has must be the caller's to give: its own ids and groups, no
    capabilities that the caller lacks, no seccomp filters.`,
  tree: `The process and all its descendants. It is to be the leader of a session, unless --shell-job is given. criu itself may not
    be part of the tree.`,
  leaveRunning: `Files, connections and whatever else is outside of the tree go on changing, and may not fit to the images any more:
    copy what matters at post-dump, where the tree still stands.`,
  leaveStopped: `After a dump or a restore the tree has to be sent SIGCONT by somebody.`,
  restoreDetached: `Otherwise criu stays the parent of the root until that ends.`,
  restoreSibling: `For programs that start criu and want to wait for the restored root themselves.`,
  execCmd: `The command stands behind a double dash, as in: criu restore --exec-cmd -- COMMAND ARG. It is looked for in PATH.`,
  shellJob: `At a dump it lets a tree pass whose session, or whose terminal, belongs to somebody outside, as every job of a shell
    does. At a restore the session and terminal of criu take their place. To be given for both.`,
  cpuCap: `A list, separated by commas. fpu: the extended registers that the tree uses; ins: all instructions that its programs may
    have found; cpu: the very same processor; all: these three; none: nothing is recorded nor compared. A name with ^ in front is taken
    out again. At the start fpu and ins are chosen; the option without a list means all.`,
  timeout: `A tree that has not come to a stop by then, because a task waits in the kernel and cannot be interrupted, is let go and
    the dump fails. 0 waits for ever.`,
  freezeCgroup: `All processes of the tree have to be in this group or below. A group that was frozen before stays so, and the tree
    is restored into a frozen group.`,
  lsmProfile: `Refused where that security module is not at work.`,
  allowUprobes: `The mapping itself is not saved: the kernel makes another one when it needs it.`,
  prevImagesDir: `A path relative to --images-dir. The new directory gets a link parent to it, and needs it for a restore.`,
  trackMem: `Every pre-dump does so; for a dump it makes sense with --leave-running. Before Linux 6.7 pages are compared instead.`,
  preDumpMode: `splice and read differ in how CRIU takes pages; here both read them from outside, after the tree was let go.`,
  autoDedup: `At a dump: what the images before have of pages that are saved anew, when the dump is whole. They are of use only
    for this dump from then on.`,
  lazyPages: `At a dump the images get everything but the pages, and this command then serves them; at a restore the tree runs before
    it has all its memory, and criu lazy-pages brings it the rest.`,
  linkRemap: `A file that was opened by a name which is gone, and that has other names, is given a temporary name beside the lost
    one. A restore removes it.`,
  ghostLimit: `What counts is the space that the file takes, not its length.`,
  ghostFiemap: `Holes are found in any case, and not saved; this only says how.`,
  evasiveDevices: `For a device node that was replaced by another one of the same number.`,
  fileLocks: `Safe only if everybody who uses the locks is in the tree: between dump and restore nobody holds them.`,
  fileValidation: `filesize compares the size alone; buildid, the default, also the build id of programs and libraries. The mode may
    be left out.`,
  skipFileRwxCheck: `The kind of the file is still compared.`,
  inheritFd: `RES is what the images call it: pipe:[INODE], socket:[INODE], tty[RDEV:DEV], file[MOUNT:INODE], a path without the
    slash in front, or the name that --external gave to a namespace. N has to be open when criu starts. May be given several times.`,
  forceIrmap: `inotify and fanotify watch inodes and not names. Without this names are searched for only where the kernel does not
    tell them.`,
  irmapScanPath: `May be given several times.`,
  tcpEstablished: `Between dump and restore the network is locked, so that the other side sees no more than a pause; see
    --network-lock. To be given for both.`,
  tcpClose: `For connections that nobody needs any more: restored sockets are not connected.`,
  skipInFlight: `Connections that are still being made are left out; the other side has to try again.`,
  networkLock: `nftables and iptables block all packets of the connections, or of the tree's own network, until the restore; skip
    leaves them alone, and somebody else is to see to it. none is another word for skip.`,
  extUnixSk: `Such sockets are saved as what they are called, and connected again by name. With a list only the sockets with these
    inode numbers pass. The list is attached: -x12,34.`,
  vethPair: `An older form of --external veth[IN]:OUT.`,
  root: `For trees with a mount namespace of their own: at a restore the directory that becomes their root, which has to be a mount
    point; at a dump the directory that was their root.`,
  external: `Names something that is not saved, but given again at the restore. May be given several times. At a dump:
    mnt[MOUNTPOINT]:NAME a bind mount from outside; mnt[]:FLAGS all of them, with m also those whose master is outside, with s also
    shared ones; dev[MAJOR/MINOR]:NAME a block device; file[MOUNT:INODE] a file that cannot be reached; tty[RDEV:DEV] a terminal;
    unix[INODE] a Unix socket whose other end is outside; net[INODE]:NAME and pid[INODE]:NAME a namespace. At a restore:
    mnt[NAME]:PATH, mnt[], dev[NAME]:PATH, veth[INSIDE]:OUTSIDE@BRIDGE, macvlan[INSIDE]:OUTSIDE; files, terminals, sockets and
    namespaces are given by --inherit-fd.`,
  extMountMap: `An older form of --external mnt[KEY]:VAL; auto is mnt[].`,
  skipMnt: `Together with what is mounted below it. May be given several times.`,
  enableFs: `Such mounts are made again by mount(2) with the source and the options that they show, which may or may not be enough.`,
  joinNs: `NS is net, uts, ipc, time, pid, mnt or user; FILE a file such as /proc/PID/ns/net, or a pid.`,
  emptyNs: `The network namespace is made, with nothing in it; somebody else fills it at setup-namespaces.`,
  manageCgroups: `none: groups have to be there and stay as they are; props: they have to be there and get their properties; soft,
    the default: missing groups are made and get theirs; full: all get theirs; strict: all are made, none may be there; ignore: control
    groups are left alone.`,
  cgroupRoot: `At a dump: the group that counts as the root of the tree's; at a restore: where they are put. Without CTL for all
    controllers that are not named.`,
  cgroupProps: `Text in a small part of YAML: for each controller its name in double quotes and a colon, then two lines with a dash:
    "strategy": "merge" or "replace", and "properties": a list of names in brackets.`,
  cgroupYard: `One directory for each hierarchy, called as its controllers, with commas between them.`,
  extra: `What is missing does not keep other trees from being saved, and makes the exit code 1.`,
  feature: `May be given several times. The exit code is 0 if all are there.`,
  pageServer: `It is found by --address and --port, or --ps-socket.`,
  address: `For service the path of its socket: criu_service.socket in the work directory if not given.`,
  daemon: `The command returns when requests can come.`,
  statusFd: `The descriptor is closed after that.`,
  tls: `Certificates and keys are those of --tls-cert, --tls-key, --tls-cacert and --tls-cacrl, or the files under /etc/pki.`,
};

/** A text of this file in one line. */
export function detailsOf(key: keyof Options): string | undefined {
  return DETAILS[key]?.replace(/\s+/g, " ");
}
