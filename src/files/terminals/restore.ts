/**
 * Terminals, brought back. Both ends of a pty are opened by their paths; its number has to be the one that it had, since programs
 * know it by that. Who leads a session gets its terminal when it has made the session, and before it bears others, which inherit it.
 */
import { IMAGES } from "../../images/kinds.ts";
import {
  type FileEntry,
  type TtyFileEntry,
  type TtyInfoEntry,
  TtyType,
} from "../../images/schema/generated/files.ts";
import type { FownEntry } from "../../images/schema/generated/sockets.ts";
import { ERRNO } from "../../linux/errno.ts";
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, fcntl, O, pidfdGetfd, pidfdOpen, selfPath, withFd } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { type NsPid, nsPid } from "../../linux/pid.ts";
import { awaitThat } from "../../linux/sleep.ts";
import { cString, syscall } from "../../linux/syscall.ts";
import {
  encodeWinsize,
  openPeer,
  setLockedTermios,
  setTermios,
  setTtyNumber,
  setWinsize,
  TIOC,
  termiosCall,
  ttyNumber,
} from "../../linux/tty.ts";
import { FileRestoreError, NamelessRestoreError, restoring } from "../errors.ts";
import type { ControllingTerminal, FileRestorer, RestoreContext, ShellJob } from "../kind.ts";
import { openPath } from "../path.ts";
import { withAsync, withFlags } from "../status-flags.ts";
import { fromTermiosEntry, fromWinsizeEntry, isHungUp, isMasterId, pairOf } from "./info.ts";
import { fillPty } from "./pty-data.ts";

/** Masters that may have to be opened before the one with the wanted number comes. */
const MOST_OTHERS = 64;
/** Milliseconds to wait for the number of a pty. */
const PATIENCE = 1000;
const NOBODY = nsPid(0);
const PERMISSIONS = 0o7777;
const NOTHING = new Uint8Array(0);

/** A pty, or, of any other terminal, what stands for its master. */
interface Pair {
  /** Ours. */
  readonly master: number;
  /** The first description of the master that is asked for is this one. */
  masterGiven: boolean;
  /** Closed as soon as all slaves are open: the terminal was hung up. */
  readonly hangsUp: boolean;
  /**
   * Ours, until all slaves are open; undefined for one that hangs up. A client that is given the master reads from it at once, and
   * would be told that the terminal was hung up if the last slave went away.
   */
  slave: number | undefined;
}

/** Ours, if it has the wanted number; and the number that the last one opened had. */
interface Attempt {
  readonly master?: number;
  readonly next: number;
}

export class TtyRestore implements FileRestorer {
  #infos: Map<number, TtyInfoEntry> | undefined;
  readonly #pairs = new Map<number, Pair>();
  /** By the number of the entry: our descriptor of the first description. */
  readonly #first = new Map<number, number>();

  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const file = ttyOf(entry);
    const info = this.#infoOf(file);
    return restoring(placeOf(entry, info), () => {
      const fd = this.#open(file, info);
      if (!this.#first.has(info.id)) {
        this.#first.set(info.id, fd);
        if (!isPty(info)) this.#giveAttributes(fd, info);
      }
      return withFlags(fd, file.flags);
    });
  }

  wire(): void {
    // That files come in this way has each opened before any process has descriptors, and all before `wired`.
  }

  /** Every description is open: what waits in ptys, foreground groups; hung up ones lose their other end. */
  wired(job: ShellJob | undefined): void {
    for (const [number, pair] of this.#pairs) {
      const { master, hangsUp, slave } = pair;
      pair.slave = undefined;
      if (slave !== undefined) this.context.kept.drop(slave);
      if (hangsUp) this.context.kept.drop(master);
      else this.#fill(number, master);
    }
    for (const info of this.#infos?.values() ?? []) this.#setForeground(info);
    if (job !== undefined) this.#bringToForeground(job);
    else for (const info of this.#infos?.values() ?? []) this.#giveInherited(info);
  }

  #giveInherited(info: TtyInfoEntry): void {
    const fd = this.#first.get(info.id);
    if (fd === undefined || !this.#comesFromOutside(info)) return;
    if (info.termios !== undefined) setTermios(fd, fromTermiosEntry(info.termios, info.id));
    if (info.winsize !== undefined) setWinsize(fd, fromWinsizeEntry(info.winsize));
  }

  /**
   * A job that we are started for from a shell has the shell's terminal as it left its own, and gets what is typed. It sets that
   * itself: of us, who are in the background then, the kernel would make a stopped job.
   */
  #bringToForeground({ restoree, group }: ShellJob): void {
    const all = [...(this.#infos?.values() ?? [])].filter(
      ({ id }) => this.#first.has(id) && !this.#pairs.has(pairOf(id)),
    );
    // /dev/tty is another of the same terminal, without attributes.
    const inherited = all.find(({ termios }) => termios !== undefined) ?? all[0];
    const fd = inherited && this.#first.get(inherited.id);
    if (inherited === undefined || fd === undefined) return;
    const { table } = restoree;
    const inside = restoree.fetch("its terminal", fd);
    const { termios, winsize, id } = inherited;
    if (termios !== undefined) {
      const { request, bytes } = termiosCall(fromTermiosEntry(termios, id));
      table.must("its terminal", NR.ioctl, inside, request, table.data(bytes));
    }
    if (winsize !== undefined) {
      const bytes = encodeWinsize(fromWinsizeEntry(winsize));
      table.must("its terminal", NR.ioctl, inside, TIOC.SWINSZ, table.data(bytes));
    }
    table.call(NR.ioctl, inside, TIOC.SPGRP, table.data(new Uint8Array(Int32Array.of(group).buffer)));
    table.must("its terminal", NR.close, inside);
    table.run();
  }

  /** These forbid what restoring does. */
  finish(): void {
    for (const info of this.#infos?.values() ?? []) {
      const fd = this.#first.get(info.id) ?? this.#pairs.get(pairOf(info.id))?.master;
      if (fd === undefined) continue;
      restoring(`tty-info.img: terminal ${info.id}`, () => {
        if (info.packet_mode) setTtyNumber(fd, TIOC.PKT, 1, "TIOCPKT");
        if (info.exclusive) syscall("TIOCEXCL", NR.ioctl, fd, TIOC.EXCL);
        if (info.locked) setTtyNumber(fd, TIOC.SPTLCK, 1, "TIOCSPTLCK");
      });
    }
  }

  owner(entry: FileEntry): FownEntry {
    return ttyOf(entry).fown;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return withAsync(ttyOf(entry).flags);
  }

  controllingTerminal(session: NsPid): ControllingTerminal | undefined {
    const of = [...this.#readInfos().values()].filter(
      ({ sid, type }) => sid === session && type !== TtyType.CTTY,
    );
    const info = of.find(({ id, type }) => type === TtyType.PTY && !isMasterId(id)) ?? of[0];
    if (info === undefined || isHungUp(info)) return undefined;
    return restoring(`tty-info.img: terminal ${info.id} of session ${session}`, () => ({
      fd: this.#openToControl(info),
      fromOutside: this.#comesFromOutside(info),
    }));
  }

  /** A description of the terminal, or of the slave of a pty, that can be read; the caller's. */
  #openToControl(info: TtyInfoEntry): number {
    const flags = O.RDWR | O.NOCTTY | O.NONBLOCK;
    const entry = [...this.context.entries.values()].find(({ tty }) => tty?.tty_info_id === info.id);
    if (entry?.tty === undefined)
      throw new FileRestoreError(`tty-info.img: nobody has terminal ${info.id} open`);
    if (this.#comesFromOutside(info)) return this.#openInherited({ flags });
    if (info.type === TtyType.PTY) return openPeer(this.#pairOf(entry.tty, info).master, flags);
    return openPath(selfPath(this.context.descriptor(entry.id)), flags);
  }

  #open(file: TtyFileEntry, info: TtyInfoEntry): number {
    switch (info.type) {
      case TtyType.PTY:
        return isMasterId(info.id) ? this.#openMaster(file, info) : this.#openSlave(file, info);
      case TtyType.CTTY:
        return this.#openControlling(file, info);
      case TtyType.EXT_TTY:
        return this.#openExternal(file, info);
      default:
        return this.#openByPath(file);
    }
  }

  #openMaster(file: TtyFileEntry, info: TtyInfoEntry): number {
    const pair = this.#pairOf(file, info);
    if (pair.masterGiven) throw new NamelessRestoreError("two descriptions of one master");
    pair.masterGiven = true;
    return fcntl(pair.master, F.DUPFD_CLOEXEC, 0);
  }

  #openSlave(file: TtyFileEntry, info: TtyInfoEntry): number {
    if (this.#isInherited(info)) return this.#openInherited(file);
    this.#pairOf(file, info);
    const fd = this.#openByPath(file);
    const mode = file.regf_id === undefined ? undefined : this.context.paths.entryOf(file.regf_id).mode;
    if (mode !== undefined) syscall("its mode", NR.fchmod, fd, mode & PERMISSIONS);
    return fd;
  }

  #openByPath({ regf_id, flags }: TtyFileEntry): number {
    if (regf_id === undefined) throw new NamelessRestoreError("a terminal without a path");
    return this.context.paths.openPlain(regf_id, (flags & ~O.ASYNC) | O.NOCTTY | O.NONBLOCK);
  }

  /** The terminal that we were started from (--shell-job), opened anew. */
  #openInherited({ flags }: Pick<TtyFileEntry, "flags">): number {
    if (ttyNumber(0, TIOC.GPTN) < 0 && ttyNumber(0, TIOC.GETD) < 0) {
      throw new NamelessRestoreError(
        "--shell-job gives it the terminal at our standard input, which is none",
        { errno: ERRNO.ENOTTY },
      );
    }
    return openPath(selfPath(0), (flags & (O.ACCMODE | O.NONBLOCK)) | O.NOCTTY);
  }

  #openExternal({ flags }: TtyFileEntry, { rdev, dev = 0 }: TtyInfoEntry): number {
    const key = `tty[${rdev.toString(16)}:${dev.toString(16)}]`;
    const inherited = this.context.inherited.take(key);
    if (inherited === undefined) {
      throw new NamelessRestoreError(`an external terminal, which --inherit-fd fd[N]:${key} is to give`);
    }
    return withFd(inherited, (fd) => openPath(selfPath(fd), (flags & (O.ACCMODE | O.NONBLOCK)) | O.NOCTTY));
  }

  /** Opening /dev/tty leads to the terminal of who opens it: whoever leads the session does, or we, if it is ours. */
  #openControlling(file: TtyFileEntry, { sid }: TtyInfoEntry): number {
    const leader = this.context.processOf(sid);
    if (leader === undefined) return this.#openByPath(file);
    const { table, pid } = leader;
    const opened = table.must(
      "/dev/tty",
      NR.openat,
      AT.FDCWD,
      table.data(cString("/dev/tty")),
      file.flags | O.CLOEXEC,
    );
    table.run();
    const number = opened.value;
    const fd = withFd(pidfdOpen(pid), (pidfd) => pidfdGetfd(pidfd, number));
    table.must("/dev/tty", NR.close, number);
    table.run();
    return fd;
  }

  #comesFromOutside(info: TtyInfoEntry): boolean {
    return info.type === TtyType.PTY && !isMasterId(info.id) && this.#isInherited(info);
  }

  /** Whether it is the terminal that we were started from that takes the place of one whose other end was outside. */
  #isInherited(info: TtyInfoEntry): boolean {
    if (isHungUp(info) || this.#readInfos().has(info.id + 1)) return false;
    if (this.context.options.shellJob) return true;
    if (this.context.options.orphanPtsMaster !== undefined) return false;
    throw new NamelessRestoreError(
      "a terminal whose other end was outside of the tree: --shell-job gives it the one that this is started from",
    );
  }

  #pairOf(file: TtyFileEntry, info: TtyInfoEntry): Pair {
    const number = pairOf(info.id);
    let pair = this.#pairs.get(number);
    if (pair !== undefined) return pair;
    const master = this.#readInfos().get(2 * number + 1);
    const hangsUp = isHungUp(info);
    const fd = this.context.kept.keep(this.#openNumbered(file, info, master !== undefined));
    setTtyNumber(fd, TIOC.SPTLCK, 0, "TIOCSPTLCK");
    pair = { master: fd, masterGiven: false, hangsUp, slave: undefined };
    this.#pairs.set(number, pair);
    if (hangsUp) return pair;
    pair.slave = this.context.kept.keep(openPeer(fd, O.RDWR | O.NOCTTY | O.NONBLOCK));
    this.#giveAttributes(pair.slave, this.#readInfos().get(2 * number) ?? info);
    if (master === undefined) this.context.options.orphanPtsMaster?.(fd);
    return pair;
  }

  /** A master that has the wanted number. The numbers of a tree that has just ended are free a moment later. */
  #openNumbered(file: TtyFileEntry, info: TtyInfoEntry, hasMaster: boolean): number {
    const wanted = info.pty?.index;
    const before = this.#openedBefore(file, info, wanted);
    if (before !== undefined) return before;
    let attempt: Attempt = { next: -1 };
    const isOpen = () => {
      attempt = this.#openUpTo(wanted, file, info, hasMaster);
      return attempt.master !== undefined;
    };
    awaitThat(isOpen, wanted === undefined ? 0 : PATIENCE);
    if (attempt.master === undefined)
      throw new NamelessRestoreError(
        `its number ${wanted} is another's by now: the next free one is ${attempt.next}`,
        { errno: ERRNO.EBUSY },
      );
    return attempt.master;
  }

  /** Opens masters until one has the wanted number, or one above it; the others are closed again. */
  #openUpTo(wanted: number | undefined, file: TtyFileEntry, info: TtyInfoEntry, hasMaster: boolean): Attempt {
    const others: Fd[] = [];
    try {
      for (;;) {
        const fd = Fd.own(this.#openMultiplexer(file, info, hasMaster));
        const index = ttyNumber(fd.number, TIOC.GPTN);
        if (index === wanted) return { master: fd.release(), next: index };
        others.push(fd);
        if (wanted === undefined || index < 0 || index > wanted || others.length > MOST_OTHERS)
          return { next: index };
      }
    } finally {
      for (const other of others) other.close();
    }
  }

  /** A master that the mounts needed; its path or that of its slave says of which mount it is. */
  #openedBefore(file: TtyFileEntry, info: TtyInfoEntry, index: number | undefined): number | undefined {
    const path = this.#masterFileOf(info)?.regf_id ?? file.regf_id;
    if (path === undefined || index === undefined) return undefined;
    const { mnt_id, name } = this.context.paths.entryOf(path);
    const mount = mnt_id === undefined || mnt_id < 0 ? undefined : mnt_id;
    return this.context.mounts.takeTerminal({ mount, path: name }, index);
  }

  #masterFileOf({ id }: TtyInfoEntry): TtyFileEntry | undefined {
    const master = 2 * pairOf(id) + 1;
    return [...this.context.entries.values()].find(({ tty }) => tty?.tty_info_id === master)?.tty;
  }

  #openMultiplexer(file: TtyFileEntry, info: TtyInfoEntry, hasMaster: boolean): number {
    const masterFile = this.#masterFileOf(info);
    const flags = O.RDWR | O.NOCTTY | O.NONBLOCK;
    if (hasMaster && masterFile?.regf_id !== undefined)
      return this.context.paths.openPlain(masterFile.regf_id, flags);
    if (file.regf_id === undefined) throw new NamelessRestoreError("a terminal without a path");
    return this.context.paths.openBeside(file.regf_id, "ptmx", flags);
  }

  #giveAttributes(fd: number, info: TtyInfoEntry): void {
    const { termios, termios_locked, winsize, uid, gid, id } = info;
    const { owners } = this.context;
    if (uid !== undefined && gid !== undefined)
      syscall("its owner", NR.fchown, fd, owners.uid(uid), owners.gid(gid));
    if (termios !== undefined) setTermios(fd, fromTermiosEntry(termios, id));
    if (winsize !== undefined) setWinsize(fd, fromWinsizeEntry(winsize));
    const locked = termios_locked && fromTermiosEntry(termios_locked, id);
    // Only what has CAP_SYS_ADMIN may set it, and mostly nothing is locked.
    if (
      locked !== undefined &&
      Object.values(locked)
        .flat()
        .some((value) => value !== 0)
    )
      setLockedTermios(fd, locked);
  }

  #fill(number: number, master: number): void {
    const input = this.#dataOf(2 * number);
    const output = this.#dataOf(2 * number + 1);
    const info = this.#readInfos().get(2 * number) ?? this.#readInfos().get(2 * number + 1);
    if (info?.termios === undefined) return;
    const termios = fromTermiosEntry(info.termios, info.id);
    if (input.length + output.length === 0) return;
    restoring(`tty-data.img: terminal ${info.id}`, () => {
      using slave = Fd.own(openPeer(master, O.RDWR | O.NOCTTY | O.NONBLOCK));
      fillPty(master, slave.number, termios, { input, output });
    });
  }

  #dataOf(id: number): Uint8Array {
    for (const { tty_id, data } of this.context.images.readAll(IMAGES.tty_data))
      if (tty_id === id) return data;
    return NOTHING;
  }

  /** Who leads the session says which of its groups gets what is typed. */
  #setForeground(info: TtyInfoEntry): void {
    const { sid, pgrp, type, id } = info;
    const isOther = type === TtyType.CTTY || (type === TtyType.PTY && isMasterId(id));
    if (sid === NOBODY || pgrp === NOBODY || isOther || isHungUp(info)) return;
    const leader = this.context.processOf(sid);
    if (leader === undefined) return;
    using fd = Fd.own(this.#openToControl(info));
    const { table } = leader;
    const inside = leader.fetch("its terminal", fd.number);
    const group = table.data(new Uint8Array(Int32Array.of(pgrp).buffer));
    const set = table.call(NR.ioctl, inside, TIOC.SPGRP, group);
    table.must("its terminal", NR.close, inside);
    table.run();
    // A group without members is none.
    if (set.raw === -ERRNO.ESRCH) return;
    // What was given is the terminal of another session.
    if (set.raw === -ERRNO.ENOTTY && this.#comesFromOutside(info)) return;
    if (set.failed) set.checked(`the foreground group ${pgrp} of session ${sid}`);
  }

  #infoOf({ tty_info_id }: TtyFileEntry): TtyInfoEntry {
    const info = this.#readInfos().get(tty_info_id);
    if (info === undefined) throw new FileRestoreError(`tty-info.img: there is no terminal ${tty_info_id}`);
    return info;
  }

  #readInfos(): Map<number, TtyInfoEntry> {
    this.#infos ??= new Map(this.context.images.readAll(IMAGES.tty_info).map((info) => [info.id, info]));
    return this.#infos;
  }
}

function isPty({ type }: TtyInfoEntry): boolean {
  return type === TtyType.PTY;
}

function ttyOf(entry: FileEntry): TtyFileEntry {
  if (entry.tty === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no terminal`);
  return entry.tty;
}

function placeOf(entry: FileEntry, info: TtyInfoEntry): string {
  return `files.img: file ${entry.id}: terminal ${info.pty === undefined ? info.id : `pts/${info.pty.index}`}`;
}
