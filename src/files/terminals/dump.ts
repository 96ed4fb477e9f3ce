/** Saving terminals: every description, and every terminal, with its session, once. */
import { IMAGES } from "../../images/kinds.ts";
import {
  FdTypes,
  type TtyDataEntry,
  type TtyFileEntry,
  type TtyInfoEntry,
  TtyType,
} from "../../images/schema/generated/files.ts";
import { packDevice } from "../../linux/device.ts";
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { AT, fcntl, O, selfPath } from "../../linux/io.ts";
import { type HostPid, hostPid, type NsPid, nsPid } from "../../linux/pid.ts";
import { readStat } from "../../linux/proc.ts";
import { FS_MAGIC, statusAt } from "../../linux/statx.ts";
import { pathAddress } from "../../linux/syscall.ts";
import {
  getLockedTermios,
  getTermios,
  getWinsize,
  isPeerClosed,
  openPeer,
  type Termios,
  TIOC,
  ttyNumber,
} from "../../linux/tty.ts";
import { log } from "../../log.ts";
import { FileDumpError } from "../errors.ts";
import type { DumpContext, FileDumper } from "../kind.ts";
import type { OpenFile } from "../open-file.ts";
import { openPath, parentOf } from "../path.ts";
import { type Driver, driverOf } from "./driver.ts";
import { infoId, MAX_PAIRS, toTermiosEntry, toWinsizeEntry } from "./info.ts";
import { peekPty } from "./pty-data.ts";

/** The line discipline of ordinary terminals, N_TTY. */
const N_TTY = 0;

/** A terminal, or one end of a pty. */
interface Terminal {
  readonly entry: TtyInfoEntry;
  readonly where: string;
  readonly driver: Driver;
  /** Ours, of the first description, and the process that has it. */
  readonly fd: Fd;
  readonly pid: HostPid;
  readonly termios: Termios | undefined;
}

export class TtyDump implements FileDumper {
  /** By the number of their entries. */
  readonly #terminals = new Map<number, Terminal>();
  /** Numbers of pairs by devpts and index. */
  readonly #pairs = new Map<string, number>();
  readonly #takenPairs = new Set<number>();
  readonly #data: TtyDataEntry[] = [];
  /** Terminals that are no ptys get numbers above those. */
  #nextId = 2 * MAX_PAIRS;
  readonly #singles = new Map<string, number>();

  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const { rdevMajor, rdevMinor } = file.fullStatus;
    const driver = driverOf(rdevMajor, rdevMinor);
    if (driver === undefined) throw new FileDumpError(`${file.where}: ${file.link} is no terminal`);
    const external = this.#isExternal(file);
    const infoNumber = external ? this.#single(file) : this.#numberOf(file, driver);
    const entry: TtyFileEntry = { id, tty_info_id: infoNumber, flags: file.flags, fown: file.owner };
    if (!external) {
      entry.regf_id = this.context.newId();
      this.context.paths.dump(file, entry.regf_id);
    }
    if (!this.#terminals.has(infoNumber)) this.#add(file, driver, infoNumber, external);
    this.context.add({ type: FdTypes.TTY, id, tty: entry });
  }

  finish(): void {
    for (const terminal of this.#terminals.values()) this.#findSession(terminal);
    for (const terminal of this.#terminals.values()) this.#refuse(terminal);
    for (const [id, terminal] of this.#terminals) {
      const { driver } = terminal;
      if (driver.type === TtyType.PTY && driver.isMaster) this.#takeData(id, terminal);
    }
    const entries = [...this.#terminals.values()].map(({ entry }) => entry);
    if (entries.length === 0) return;
    this.context.images.writeAll(IMAGES.tty_info, entries);
    this.context.images.writeAll(IMAGES.tty_data, this.#data);
    for (const { fd } of this.#terminals.values()) fd.close();
  }

  #isExternal(file: OpenFile): boolean {
    const { dev } = file.status;
    const rdev = rdevOf(file);
    return this.context.options.external.includes(`tty[${rdev.toString(16)}:${dev.toString(16)}]`);
  }

  #numberOf(file: OpenFile, driver: Driver): number {
    // It is another one in each session.
    if (driver.type === TtyType.CTTY) return this.#single(file, readStat(file.pid).session);
    if (driver.type !== TtyType.PTY) return this.#single(file);
    const index = driver.index ?? ttyNumber(file.copy, TIOC.GPTN);
    if (index < 0) throw new FileDumpError(`${file.where}: ${file.link} does not tell its number`);
    const key = `${devptsOf(file)}:${index}`;
    let pair = this.#pairs.get(key);
    if (pair === undefined) {
      pair = index;
      // Another devpts may have one of the same number.
      for (let other = MAX_PAIRS - 1; this.#takenPairs.has(pair) || pair >= MAX_PAIRS; other--) pair = other;
      this.#takenPairs.add(pair);
      this.#pairs.set(key, pair);
    }
    return infoId(pair, driver.isMaster);
  }

  #single(file: OpenFile, session?: HostPid): number {
    const key = `${rdevOf(file)}:${file.status.dev}:${session ?? ""}`;
    const id = this.#singles.get(key) ?? this.#nextId++;
    this.#singles.set(key, id);
    return id;
  }

  #add(file: OpenFile, driver: Driver, id: number, external: boolean): void {
    const fd = Fd.own(fcntl(file.copy, F.DUPFD_CLOEXEC, 0));
    const { fullStatus, where } = file;
    const termios = getTermios(fd.number);
    const flag = (request: number) => ttyNumber(fd.number, request) > 0;
    const isPtyMaster = driver.type === TtyType.PTY && driver.isMaster;
    const entry: TtyInfoEntry = {
      id,
      type: external ? TtyType.EXT_TTY : driver.type,
      locked: isPtyMaster && flag(TIOC.GPTLCK),
      exclusive: termios !== undefined && flag(TIOC.GEXCL),
      packet_mode: isPtyMaster && flag(TIOC.GPKT),
      sid: nsPid(0),
      pgrp: nsPid(0),
      rdev: rdevOf(file),
      dev: file.status.dev,
      uid: file.owners.uid(fullStatus.uid),
      gid: file.owners.gid(fullStatus.gid),
    };
    if (driver.type === TtyType.PTY && !external)
      entry.pty = { index: driver.index ?? ttyNumber(fd.number, TIOC.GPTN) };
    if (termios !== undefined) {
      const discipline = ttyNumber(fd.number, TIOC.GETD);
      if (discipline !== N_TTY)
        throw new FileDumpError(
          `${where}: ${file.link} has line discipline ${discipline}, not that of terminals`,
        );
      entry.termios = toTermiosEntry(termios);
      entry.termios_locked = toTermiosEntry(getLockedTermios(fd.number));
      entry.winsize = toWinsizeEntry(getWinsize(fd.number));
    }
    this.#terminals.set(id, { entry, where, driver, fd, pid: file.pid, termios });
  }

  /** A master tells of which session its terminal is; of any other the processes of the session do. */
  #findSession({ entry, driver, fd, pid: holder }: Terminal): void {
    const { tasks } = this.context;
    const set = (session: HostPid, foreground: number) => {
      entry.sid = tasks.numberOf(session);
      entry.pgrp = foreground > 0 ? tasks.numberOf(hostPid(foreground)) : nsPid(0);
    };
    if (driver.type === TtyType.PTY && driver.isMaster) {
      const session = ttyNumber(fd.number, TIOC.GSID);
      if (session > 0) set(hostPid(session), ttyNumber(fd.number, TIOC.GPGRP));
      return;
    }
    for (const pid of tasks.living) {
      const { terminal, foreground, session } = readStat(pid);
      if (driver.type === TtyType.CTTY ? pid !== holder : terminal !== entry.rdev) continue;
      set(session, foreground);
      return;
    }
  }

  /** What no restore could bring back. */
  #refuse({ entry, where, driver, termios }: Terminal): void {
    const { shellJob } = this.context.options;
    const { sid, type } = entry;
    if (type === TtyType.EXT_TTY || shellJob || termios === undefined) return;
    const hint = "--shell-job has a restore give it the terminal that that is started from";
    if (sid !== 0 && !this.#leads(sid)) {
      throw new FileDumpError(
        `${where}: a terminal of session ${sid}, whose leader is not of the tree; ${hint}`,
      );
    }
    const alone = driver.type === TtyType.PTY && !driver.isMaster && !this.#terminals.has(entry.id + 1);
    if (!alone) return;
    const key = `tty[${entry.rdev.toString(16)}:${(entry.dev ?? 0).toString(16)}]`;
    if (this.context.options.orphanPtsMaster) return;
    throw new FileDumpError(
      `${where}: a terminal whose other end is outside of the tree; ${hint}, --external ${key} lets it be inherited`,
    );
  }

  #leads(sid: NsPid): boolean {
    const { tasks } = this.context;
    return tasks.living.some((pid) => tasks.numberOf(pid) === sid);
  }

  #takeData(id: number, { entry, fd, termios, where }: Terminal): void {
    const slave = this.#terminals.get(id - 1);
    if (slave === undefined && isPeerClosed(fd.number)) entry.peer_closed = true;
    // A locked one has no other end; one that others use outside of the tree is left alone.
    const isOurs = slave !== undefined || entry.sid === 0 || this.#leads(entry.sid);
    if (termios === undefined || entry.locked || !isOurs) return;
    using own = openSlave(slave?.fd.number, fd.number);
    const { input, output } = peekPty(fd.number, own.number, termios, entry.packet_mode);
    if (input.length + output.length > 0)
      log.debug(
        "files/terminals",
        `${where}: ${input.length} bytes of input, ${output.length} of output wait`,
      );
    if (input.length > 0) this.#data.push({ tty_id: id - 1, data: input });
    if (output.length > 0) this.#data.push({ tty_id: id, data: output });
  }
}

/** The slave of a pty, opened anew: by a description of it, or by its master. @throws KernelError */
function openSlave(slave: number | undefined, master: number): Fd {
  const flags = O.RDWR | O.NOCTTY | O.NONBLOCK;
  if (slave !== undefined) return Fd.own(openPath(selfPath(slave), flags));
  return Fd.own(openPeer(master, flags));
}

/** The device of the devpts that a pty is of: a master at /dev/ptmx is of that mounted beside it. */
function devptsOf(file: OpenFile): number {
  if (file.fsMagic === FS_MAGIC.DEVPTS) return file.status.dev;
  const beside = statusAt(AT.FDCWD, pathAddress(`/proc/${file.pid}/root${parentOf(file.link)}/pts`));
  return typeof beside === "number" ? file.status.dev : beside.dev;
}

function rdevOf(file: OpenFile): number {
  const { rdevMajor, rdevMinor } = file.fullStatus;
  return packDevice(rdevMajor, rdevMinor);
}
