// Made from files.proto by scripts/generate-images.ts. Not to be edited.

import { type NsPid, nsPid } from "../../../linux/pid.ts";
import type { Codec, Reader, Writer } from "../../wire.ts";
import { MqueueEntry } from "./namespaces.ts";
import { FownEntry, InetSkEntry, NetlinkSkEntry, PacketSockEntry, UnixSkEntry } from "./sockets.ts";

export const FdTypes = {
  UND: 0,
  REG: 1,
  PIPE: 2,
  FIFO: 3,
  INETSK: 4,
  UNIXSK: 5,
  EVENTFD: 6,
  EVENTPOLL: 7,
  INOTIFY: 8,
  SIGNALFD: 9,
  PACKETSK: 10,
  TTY: 11,
  FANOTIFY: 12,
  NETLINKSK: 13,
  NS: 14,
  TUNF: 15,
  EXT: 16,
  TIMERFD: 17,
  MEMFD: 18,
  BPFMAP: 19,
  PIDFD: 20,
  MQUEUE: 1000,
  CTL_TTY: 65534,
  AUTOFS_PIPE: 65535,
} as const;
export type FdTypes = (typeof FdTypes)[keyof typeof FdTypes];
export function isFdTypes(value: number): value is FdTypes {
  return (value >= 0 && value <= 20) || value === 1000 || (value >= 65534 && value <= 65535);
}

/** fdinfo-FILESID.img: one descriptor. */
export interface FdinfoEntry {
  /** of the open file description */
  id: number;
  /** FD_CLOEXEC */
  flags: number;
  type: FdTypes;
  fd: number;
  xattr_security_selinux?: string | undefined;
}

export const FdinfoEntry: Codec<FdinfoEntry> = {
  name: "fdinfo_entry",
  write(w: Writer, m: FdinfoEntry): void {
    w.uint32(8, m.id, "fdinfo_entry.id");
    w.uint32(16, m.flags, "fdinfo_entry.flags");
    w.int32(24, m.type, "fdinfo_entry.type");
    w.uint32(32, m.fd, "fdinfo_entry.fd");
    if (m.xattr_security_selinux !== undefined) w.string(42, m.xattr_security_selinux, "fdinfo_entry.xattr_security_selinux");
  },
  read(r: Reader): FdinfoEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let type: FdTypes | undefined;
    let fd: number | undefined;
    let xattr_security_selinux: string | undefined;
    const { data, limit } = r;
    let at = r.pos;
    while (at < limit) {
      let tag = data[at] ?? 0;
      if (tag > 7 && tag < 0x80) at++;
      else {
        r.pos = at;
        tag = r.tag();
        at = r.pos;
      }
      switch (tag) {
        case 8: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            id = byte;
            break;
          }
          r.pos = at;
          id = r.uint32();
          at = r.pos;
          break;
        }
        case 16: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            flags = byte;
            break;
          }
          r.pos = at;
          flags = r.uint32();
          at = r.pos;
          break;
        }
        case 24: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit && isFdTypes(byte)) {
            at++;
            type = byte;
            break;
          }
          r.pos = at;
          type = r.enumeration(isFdTypes, "fdinfo_entry.type");
          at = r.pos;
          break;
        }
        case 32: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            fd = byte;
            break;
          }
          r.pos = at;
          fd = r.uint32();
          at = r.pos;
          break;
        }
        case 42:
          r.pos = at;
          xattr_security_selinux = r.string();
          at = r.pos;
          break;
        default:
          r.pos = at;
          r.skip(tag);
          at = r.pos;
      }
    }
    r.pos = at;
    if (id === undefined) return r.missing("fdinfo_entry.id");
    if (flags === undefined) return r.missing("fdinfo_entry.flags");
    if (type === undefined) return r.missing("fdinfo_entry.type");
    if (fd === undefined) return r.missing("fdinfo_entry.fd");
    return { id, flags, type, fd, xattr_security_selinux };
  },
};

/** files.img: one open file description; the member that `type` names is set. */
export interface FileEntry {
  type: FdTypes;
  id: number;
  reg?: RegFileEntry | undefined;
  isk?: InetSkEntry | undefined;
  nsf?: NsFileEntry | undefined;
  psk?: PacketSockEntry | undefined;
  nlsk?: NetlinkSkEntry | undefined;
  efd?: EventfdFileEntry | undefined;
  epfd?: EventpollFileEntry | undefined;
  sgfd?: SignalfdEntry | undefined;
  tunf?: TunfileEntry | undefined;
  tfd?: TimerfdEntry | undefined;
  ify?: InotifyFileEntry | undefined;
  ffy?: FanotifyFileEntry | undefined;
  ext?: ExtFileEntry | undefined;
  usk?: UnixSkEntry | undefined;
  fifo?: FifoEntry | undefined;
  pipe?: PipeEntry | undefined;
  tty?: TtyFileEntry | undefined;
  memfd?: MemfdFileEntry | undefined;
  bpf?: BpfmapFileEntry | undefined;
  pidfd?: PidfdEntry | undefined;
  /** this program's own */
  mqueue?: MqueueFileEntry | undefined;
}

export const FileEntry: Codec<FileEntry> = {
  name: "file_entry",
  write(w: Writer, m: FileEntry): void {
    w.int32(8, m.type, "file_entry.type");
    w.uint32(16, m.id, "file_entry.id");
    if (m.reg !== undefined) w.message(26, RegFileEntry, m.reg, "file_entry.reg");
    if (m.isk !== undefined) w.message(34, InetSkEntry, m.isk, "file_entry.isk");
    if (m.nsf !== undefined) w.message(42, NsFileEntry, m.nsf, "file_entry.nsf");
    if (m.psk !== undefined) w.message(50, PacketSockEntry, m.psk, "file_entry.psk");
    if (m.nlsk !== undefined) w.message(58, NetlinkSkEntry, m.nlsk, "file_entry.nlsk");
    if (m.efd !== undefined) w.message(66, EventfdFileEntry, m.efd, "file_entry.efd");
    if (m.epfd !== undefined) w.message(74, EventpollFileEntry, m.epfd, "file_entry.epfd");
    if (m.sgfd !== undefined) w.message(82, SignalfdEntry, m.sgfd, "file_entry.sgfd");
    if (m.tunf !== undefined) w.message(90, TunfileEntry, m.tunf, "file_entry.tunf");
    if (m.tfd !== undefined) w.message(98, TimerfdEntry, m.tfd, "file_entry.tfd");
    if (m.ify !== undefined) w.message(106, InotifyFileEntry, m.ify, "file_entry.ify");
    if (m.ffy !== undefined) w.message(114, FanotifyFileEntry, m.ffy, "file_entry.ffy");
    if (m.ext !== undefined) w.message(122, ExtFileEntry, m.ext, "file_entry.ext");
    if (m.usk !== undefined) w.message(130, UnixSkEntry, m.usk, "file_entry.usk");
    if (m.fifo !== undefined) w.message(138, FifoEntry, m.fifo, "file_entry.fifo");
    if (m.pipe !== undefined) w.message(146, PipeEntry, m.pipe, "file_entry.pipe");
    if (m.tty !== undefined) w.message(154, TtyFileEntry, m.tty, "file_entry.tty");
    if (m.memfd !== undefined) w.message(162, MemfdFileEntry, m.memfd, "file_entry.memfd");
    if (m.bpf !== undefined) w.message(170, BpfmapFileEntry, m.bpf, "file_entry.bpf");
    if (m.pidfd !== undefined) w.message(178, PidfdEntry, m.pidfd, "file_entry.pidfd");
    if (m.mqueue !== undefined) w.message(8002, MqueueFileEntry, m.mqueue, "file_entry.mqueue");
  },
  read(r: Reader): FileEntry {
    let type: FdTypes | undefined;
    let id: number | undefined;
    let reg: RegFileEntry | undefined;
    let isk: InetSkEntry | undefined;
    let nsf: NsFileEntry | undefined;
    let psk: PacketSockEntry | undefined;
    let nlsk: NetlinkSkEntry | undefined;
    let efd: EventfdFileEntry | undefined;
    let epfd: EventpollFileEntry | undefined;
    let sgfd: SignalfdEntry | undefined;
    let tunf: TunfileEntry | undefined;
    let tfd: TimerfdEntry | undefined;
    let ify: InotifyFileEntry | undefined;
    let ffy: FanotifyFileEntry | undefined;
    let ext: ExtFileEntry | undefined;
    let usk: UnixSkEntry | undefined;
    let fifo: FifoEntry | undefined;
    let pipe: PipeEntry | undefined;
    let tty: TtyFileEntry | undefined;
    let memfd: MemfdFileEntry | undefined;
    let bpf: BpfmapFileEntry | undefined;
    let pidfd: PidfdEntry | undefined;
    let mqueue: MqueueFileEntry | undefined;
    const { data, limit } = r;
    let at = r.pos;
    while (at < limit) {
      let tag = data[at] ?? 0;
      if (tag > 7 && tag < 0x80) at++;
      else {
        r.pos = at;
        tag = r.tag();
        at = r.pos;
      }
      switch (tag) {
        case 8: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit && isFdTypes(byte)) {
            at++;
            type = byte;
            break;
          }
          r.pos = at;
          type = r.enumeration(isFdTypes, "file_entry.type");
          at = r.pos;
          break;
        }
        case 16: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            id = byte;
            break;
          }
          r.pos = at;
          id = r.uint32();
          at = r.pos;
          break;
        }
        case 26:
          r.pos = at;
          reg = r.message(RegFileEntry);
          at = r.pos;
          break;
        case 34:
          r.pos = at;
          isk = r.message(InetSkEntry);
          at = r.pos;
          break;
        case 42:
          r.pos = at;
          nsf = r.message(NsFileEntry);
          at = r.pos;
          break;
        case 50:
          r.pos = at;
          psk = r.message(PacketSockEntry);
          at = r.pos;
          break;
        case 58:
          r.pos = at;
          nlsk = r.message(NetlinkSkEntry);
          at = r.pos;
          break;
        case 66:
          r.pos = at;
          efd = r.message(EventfdFileEntry);
          at = r.pos;
          break;
        case 74:
          r.pos = at;
          epfd = r.message(EventpollFileEntry);
          at = r.pos;
          break;
        case 82:
          r.pos = at;
          sgfd = r.message(SignalfdEntry);
          at = r.pos;
          break;
        case 90:
          r.pos = at;
          tunf = r.message(TunfileEntry);
          at = r.pos;
          break;
        case 98:
          r.pos = at;
          tfd = r.message(TimerfdEntry);
          at = r.pos;
          break;
        case 106:
          r.pos = at;
          ify = r.message(InotifyFileEntry);
          at = r.pos;
          break;
        case 114:
          r.pos = at;
          ffy = r.message(FanotifyFileEntry);
          at = r.pos;
          break;
        case 122:
          r.pos = at;
          ext = r.message(ExtFileEntry);
          at = r.pos;
          break;
        case 130:
          r.pos = at;
          usk = r.message(UnixSkEntry);
          at = r.pos;
          break;
        case 138:
          r.pos = at;
          fifo = r.message(FifoEntry);
          at = r.pos;
          break;
        case 146:
          r.pos = at;
          pipe = r.message(PipeEntry);
          at = r.pos;
          break;
        case 154:
          r.pos = at;
          tty = r.message(TtyFileEntry);
          at = r.pos;
          break;
        case 162:
          r.pos = at;
          memfd = r.message(MemfdFileEntry);
          at = r.pos;
          break;
        case 170:
          r.pos = at;
          bpf = r.message(BpfmapFileEntry);
          at = r.pos;
          break;
        case 178:
          r.pos = at;
          pidfd = r.message(PidfdEntry);
          at = r.pos;
          break;
        case 8002:
          r.pos = at;
          mqueue = r.message(MqueueFileEntry);
          at = r.pos;
          break;
        default:
          r.pos = at;
          r.skip(tag);
          at = r.pos;
      }
    }
    r.pos = at;
    if (type === undefined) return r.missing("file_entry.type");
    if (id === undefined) return r.missing("file_entry.id");
    return { type, id, reg, isk, nsf, psk, nlsk, efd, epfd, sgfd, tunf, tfd, ify, ffy, ext, usk, fifo, pipe, tty, memfd, bpf, pidfd, mqueue };
  },
};

/** This program's own: an open POSIX message queue. */
export interface MqueueFileEntry {
  id: number;
  flags: number;
  fown: FownEntry;
  name: string;
  ipc_ns_id: number;
  /** Of one that has lost its name: a number that all descriptors of the same one have, of which one has what is in it. */
  unlinked?: number | undefined;
  content?: MqueueEntry | undefined;
}

export const MqueueFileEntry: Codec<MqueueFileEntry> = {
  name: "mqueue_file_entry",
  write(w: Writer, m: MqueueFileEntry): void {
    w.uint32(8, m.id, "mqueue_file_entry.id");
    w.uint32(16, m.flags, "mqueue_file_entry.flags");
    w.message(26, FownEntry, m.fown, "mqueue_file_entry.fown");
    w.string(34, m.name, "mqueue_file_entry.name");
    w.uint32(40, m.ipc_ns_id, "mqueue_file_entry.ipc_ns_id");
    if (m.unlinked !== undefined) w.uint32(48, m.unlinked, "mqueue_file_entry.unlinked");
    if (m.content !== undefined) w.message(58, MqueueEntry, m.content, "mqueue_file_entry.content");
  },
  read(r: Reader): MqueueFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    let name: string | undefined;
    let ipc_ns_id: number | undefined;
    let unlinked: number | undefined;
    let content: MqueueEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 26:
          fown = r.message(FownEntry);
          break;
        case 34:
          name = r.string();
          break;
        case 40:
          ipc_ns_id = r.uint32();
          break;
        case 48:
          unlinked = r.uint32();
          break;
        case 58:
          content = r.message(MqueueEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("mqueue_file_entry.id");
    if (flags === undefined) return r.missing("mqueue_file_entry.flags");
    if (fown === undefined) return r.missing("mqueue_file_entry.fown");
    if (name === undefined) return r.missing("mqueue_file_entry.name");
    if (ipc_ns_id === undefined) return r.missing("mqueue_file_entry.ipc_ns_id");
    return { id, flags, fown, name, ipc_ns_id, unlinked, content };
  },
};

export interface RegFileEntry {
  id: number;
  flags: number;
  pos: bigint;
  fown: FownEntry;
  /** from the root of the mount namespace */
  name: string;
  mnt_id?: number | undefined;
  size?: bigint | undefined;
  ext?: boolean | undefined;
  mode?: number | undefined;
  /** To notice on restore that the file was replaced: its ELF build id, or a CRC32C over parts of it. */
  build_id: number[];
  checksum?: number | undefined;
  checksum_config?: number | undefined;
  checksum_parameter?: number | undefined;
}

export const RegFileEntry: Codec<RegFileEntry> = {
  name: "reg_file_entry",
  write(w: Writer, m: RegFileEntry): void {
    w.uint32(8, m.id, "reg_file_entry.id");
    w.uint32(16, m.flags, "reg_file_entry.flags");
    w.uint64(24, m.pos, "reg_file_entry.pos");
    w.message(42, FownEntry, m.fown, "reg_file_entry.fown");
    w.string(50, m.name, "reg_file_entry.name");
    if (m.mnt_id !== undefined) w.sint32(56, m.mnt_id, "reg_file_entry.mnt_id");
    if (m.size !== undefined) w.uint64(64, m.size, "reg_file_entry.size");
    if (m.ext !== undefined) w.bool(72, m.ext, "reg_file_entry.ext");
    if (m.mode !== undefined) w.uint32(80, m.mode, "reg_file_entry.mode");
    w.uint32s(88, m.build_id, "reg_file_entry.build_id");
    if (m.checksum !== undefined) w.uint32(96, m.checksum, "reg_file_entry.checksum");
    if (m.checksum_config !== undefined) w.uint32(104, m.checksum_config, "reg_file_entry.checksum_config");
    if (m.checksum_parameter !== undefined) w.uint32(112, m.checksum_parameter, "reg_file_entry.checksum_parameter");
  },
  read(r: Reader): RegFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let pos: bigint | undefined;
    let fown: FownEntry | undefined;
    let name: string | undefined;
    let mnt_id: number | undefined;
    let size: bigint | undefined;
    let ext: boolean | undefined;
    let mode: number | undefined;
    const build_id: number[] = [];
    let checksum: number | undefined;
    let checksum_config: number | undefined;
    let checksum_parameter: number | undefined;
    const { data, limit } = r;
    let at = r.pos;
    while (at < limit) {
      let tag = data[at] ?? 0;
      if (tag > 7 && tag < 0x80) at++;
      else {
        r.pos = at;
        tag = r.tag();
        at = r.pos;
      }
      switch (tag) {
        case 8: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            id = byte;
            break;
          }
          r.pos = at;
          id = r.uint32();
          at = r.pos;
          break;
        }
        case 16: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            flags = byte;
            break;
          }
          r.pos = at;
          flags = r.uint32();
          at = r.pos;
          break;
        }
        case 24: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            pos = BigInt(byte);
            break;
          }
          r.pos = at;
          pos = r.uint64();
          at = r.pos;
          break;
        }
        case 42:
          r.pos = at;
          fown = r.message(FownEntry);
          at = r.pos;
          break;
        case 50:
          r.pos = at;
          name = r.string();
          at = r.pos;
          break;
        case 56: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            mnt_id = (byte >>> 1) ^ -(byte & 1);
            break;
          }
          r.pos = at;
          mnt_id = r.sint32();
          at = r.pos;
          break;
        }
        case 64: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            size = BigInt(byte);
            break;
          }
          r.pos = at;
          size = r.uint64();
          at = r.pos;
          break;
        }
        case 72: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            ext = byte !== 0;
            break;
          }
          r.pos = at;
          ext = r.bool();
          at = r.pos;
          break;
        }
        case 80: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            mode = byte;
            break;
          }
          r.pos = at;
          mode = r.uint32();
          at = r.pos;
          break;
        }
        case 88: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            build_id.push(byte);
            break;
          }
          r.pos = at;
          build_id.push(r.uint32());
          at = r.pos;
          break;
        }
        case 90:
          r.pos = at;
          r.packed(build_id, r.uint32);
          at = r.pos;
          break;
        case 96: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            checksum = byte;
            break;
          }
          r.pos = at;
          checksum = r.uint32();
          at = r.pos;
          break;
        }
        case 104: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            checksum_config = byte;
            break;
          }
          r.pos = at;
          checksum_config = r.uint32();
          at = r.pos;
          break;
        }
        case 112: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            checksum_parameter = byte;
            break;
          }
          r.pos = at;
          checksum_parameter = r.uint32();
          at = r.pos;
          break;
        }
        default:
          r.pos = at;
          r.skip(tag);
          at = r.pos;
      }
    }
    r.pos = at;
    if (id === undefined) return r.missing("reg_file_entry.id");
    if (flags === undefined) return r.missing("reg_file_entry.flags");
    if (pos === undefined) return r.missing("reg_file_entry.pos");
    if (fown === undefined) return r.missing("reg_file_entry.fown");
    if (name === undefined) return r.missing("reg_file_entry.name");
    return { id, flags, pos, fown, name, mnt_id, size, ext, mode, build_id, checksum, checksum_config, checksum_parameter };
  },
};

export interface NsFileEntry {
  id: number;
  ns_id: number;
  /** CLONE_NEW* */
  ns_cflag: number;
  flags: number;
}

export const NsFileEntry: Codec<NsFileEntry> = {
  name: "ns_file_entry",
  write(w: Writer, m: NsFileEntry): void {
    w.uint32(8, m.id, "ns_file_entry.id");
    w.uint32(16, m.ns_id, "ns_file_entry.ns_id");
    w.uint32(24, m.ns_cflag, "ns_file_entry.ns_cflag");
    w.uint32(32, m.flags, "ns_file_entry.flags");
  },
  read(r: Reader): NsFileEntry {
    let id: number | undefined;
    let ns_id: number | undefined;
    let ns_cflag: number | undefined;
    let flags: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          ns_id = r.uint32();
          break;
        case 24:
          ns_cflag = r.uint32();
          break;
        case 32:
          flags = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("ns_file_entry.id");
    if (ns_id === undefined) return r.missing("ns_file_entry.ns_id");
    if (ns_cflag === undefined) return r.missing("ns_file_entry.ns_cflag");
    if (flags === undefined) return r.missing("ns_file_entry.flags");
    return { id, ns_id, ns_cflag, flags };
  },
};

export interface ExtFileEntry {
  id: number;
  fown: FownEntry;
}

export const ExtFileEntry: Codec<ExtFileEntry> = {
  name: "ext_file_entry",
  write(w: Writer, m: ExtFileEntry): void {
    w.uint32(8, m.id, "ext_file_entry.id");
    w.message(42, FownEntry, m.fown, "ext_file_entry.fown");
  },
  read(r: Reader): ExtFileEntry {
    let id: number | undefined;
    let fown: FownEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 42:
          fown = r.message(FownEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("ext_file_entry.id");
    if (fown === undefined) return r.missing("ext_file_entry.fown");
    return { id, fown };
  },
};

export interface PipeEntry {
  id: number;
  pipe_id: number;
  flags: number;
  fown: FownEntry;
  /** CRIU 4.3: whose the pipe is, which opening it by /proc/PID/fd asks. */
  uid?: number | undefined;
  gid?: number | undefined;
  /** this program's own: its permissions, where they are not 0600 */
  mode?: number | undefined;
}

export const PipeEntry: Codec<PipeEntry> = {
  name: "pipe_entry",
  write(w: Writer, m: PipeEntry): void {
    w.uint32(8, m.id, "pipe_entry.id");
    w.uint32(16, m.pipe_id, "pipe_entry.pipe_id");
    w.uint32(24, m.flags, "pipe_entry.flags");
    w.message(34, FownEntry, m.fown, "pipe_entry.fown");
    if (m.uid !== undefined) w.uint32(40, m.uid, "pipe_entry.uid");
    if (m.gid !== undefined) w.uint32(48, m.gid, "pipe_entry.gid");
    if (m.mode !== undefined) w.uint32(8000, m.mode, "pipe_entry.mode");
  },
  read(r: Reader): PipeEntry {
    let id: number | undefined;
    let pipe_id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    let mode: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          pipe_id = r.uint32();
          break;
        case 24:
          flags = r.uint32();
          break;
        case 34:
          fown = r.message(FownEntry);
          break;
        case 40:
          uid = r.uint32();
          break;
        case 48:
          gid = r.uint32();
          break;
        case 8000:
          mode = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("pipe_entry.id");
    if (pipe_id === undefined) return r.missing("pipe_entry.pipe_id");
    if (flags === undefined) return r.missing("pipe_entry.flags");
    if (fown === undefined) return r.missing("pipe_entry.fown");
    return { id, pipe_id, flags, fown, uid, gid, mode };
  },
};

export interface FifoEntry {
  id: number;
  pipe_id: number;
  /** the path it has, as a regular file's id */
  regf_id?: number | undefined;
  /** this program's own: a reader that no writer has come to, which does not tell that all are gone */
  no_hangup?: boolean | undefined;
}

export const FifoEntry: Codec<FifoEntry> = {
  name: "fifo_entry",
  write(w: Writer, m: FifoEntry): void {
    w.uint32(8, m.id, "fifo_entry.id");
    w.uint32(16, m.pipe_id, "fifo_entry.pipe_id");
    if (m.regf_id !== undefined) w.uint32(24, m.regf_id, "fifo_entry.regf_id");
    if (m.no_hangup !== undefined) w.bool(8000, m.no_hangup, "fifo_entry.no_hangup");
  },
  read(r: Reader): FifoEntry {
    let id: number | undefined;
    let pipe_id: number | undefined;
    let regf_id: number | undefined;
    let no_hangup: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          pipe_id = r.uint32();
          break;
        case 24:
          regf_id = r.uint32();
          break;
        case 8000:
          no_hangup = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("fifo_entry.id");
    if (pipe_id === undefined) return r.missing("fifo_entry.pipe_id");
    return { id, pipe_id, regf_id, no_hangup };
  },
};

/** pipes-data.img and fifo-data.img; `bytes` bytes follow each entry. */
export interface PipeDataEntry {
  pipe_id: number;
  bytes: number;
  /** F_SETPIPE_SZ */
  size?: number | undefined;
  /** this program's own: lengths of the packets, where it is in packet mode */
  packets: number[];
}

export const PipeDataEntry: Codec<PipeDataEntry> = {
  name: "pipe_data_entry",
  write(w: Writer, m: PipeDataEntry): void {
    w.uint32(8, m.pipe_id, "pipe_data_entry.pipe_id");
    w.uint32(16, m.bytes, "pipe_data_entry.bytes");
    if (m.size !== undefined) w.uint32(24, m.size, "pipe_data_entry.size");
    w.uint32s(8000, m.packets, "pipe_data_entry.packets");
  },
  read(r: Reader): PipeDataEntry {
    let pipe_id: number | undefined;
    let bytes: number | undefined;
    let size: number | undefined;
    const packets: number[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          pipe_id = r.uint32();
          break;
        case 16:
          bytes = r.uint32();
          break;
        case 24:
          size = r.uint32();
          break;
        case 8000:
          packets.push(r.uint32());
          break;
        case 8002:
          r.packed(packets, r.uint32);
          break;
        default:
          r.skip(tag);
      }
    }
    if (pipe_id === undefined) return r.missing("pipe_data_entry.pipe_id");
    if (bytes === undefined) return r.missing("pipe_data_entry.bytes");
    return { pipe_id, bytes, size, packets };
  },
};

export interface EventfdFileEntry {
  id: number;
  flags: number;
  fown: FownEntry;
  counter: bigint;
}

export const EventfdFileEntry: Codec<EventfdFileEntry> = {
  name: "eventfd_file_entry",
  write(w: Writer, m: EventfdFileEntry): void {
    w.uint32(8, m.id, "eventfd_file_entry.id");
    w.uint32(16, m.flags, "eventfd_file_entry.flags");
    w.message(26, FownEntry, m.fown, "eventfd_file_entry.fown");
    w.uint64(32, m.counter, "eventfd_file_entry.counter");
  },
  read(r: Reader): EventfdFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    let counter: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 26:
          fown = r.message(FownEntry);
          break;
        case 32:
          counter = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("eventfd_file_entry.id");
    if (flags === undefined) return r.missing("eventfd_file_entry.flags");
    if (fown === undefined) return r.missing("eventfd_file_entry.fown");
    if (counter === undefined) return r.missing("eventfd_file_entry.counter");
    return { id, flags, fown, counter };
  },
};

export interface EventpollFileEntry {
  id: number;
  flags: number;
  fown: FownEntry;
  tfd: EventpollTfdEntry[];
  /** this program's own: what EPIOCGPARAMS tells */
  busy_poll_usecs?: number | undefined;
  busy_poll_budget?: number | undefined;
  prefer_busy_poll?: boolean | undefined;
}

export const EventpollFileEntry: Codec<EventpollFileEntry> = {
  name: "eventpoll_file_entry",
  write(w: Writer, m: EventpollFileEntry): void {
    w.uint32(8, m.id, "eventpoll_file_entry.id");
    w.uint32(16, m.flags, "eventpoll_file_entry.flags");
    w.message(26, FownEntry, m.fown, "eventpoll_file_entry.fown");
    for (const v of m.tfd) w.message(34, EventpollTfdEntry, v, "eventpoll_file_entry.tfd");
    if (m.busy_poll_usecs !== undefined) w.uint32(8000, m.busy_poll_usecs, "eventpoll_file_entry.busy_poll_usecs");
    if (m.busy_poll_budget !== undefined) w.uint32(8008, m.busy_poll_budget, "eventpoll_file_entry.busy_poll_budget");
    if (m.prefer_busy_poll !== undefined) w.bool(8016, m.prefer_busy_poll, "eventpoll_file_entry.prefer_busy_poll");
  },
  read(r: Reader): EventpollFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    const tfd: EventpollTfdEntry[] = [];
    let busy_poll_usecs: number | undefined;
    let busy_poll_budget: number | undefined;
    let prefer_busy_poll: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 26:
          fown = r.message(FownEntry);
          break;
        case 34:
          tfd.push(r.message(EventpollTfdEntry));
          break;
        case 8000:
          busy_poll_usecs = r.uint32();
          break;
        case 8008:
          busy_poll_budget = r.uint32();
          break;
        case 8016:
          prefer_busy_poll = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("eventpoll_file_entry.id");
    if (flags === undefined) return r.missing("eventpoll_file_entry.flags");
    if (fown === undefined) return r.missing("eventpoll_file_entry.fown");
    return { id, flags, fown, tfd, busy_poll_usecs, busy_poll_budget, prefer_busy_poll };
  },
};

/** dev, inode and pos find the watched file again where another file took its descriptor's number. */
export interface EventpollTfdEntry {
  id: number;
  tfd: number;
  events: number;
  data: bigint;
  dev?: number | undefined;
  inode?: bigint | undefined;
  pos?: bigint | undefined;
  /** this program's own: the watched file, and the number that it was registered by where tfd is another one */
  file_id?: number | undefined;
  registered?: number | undefined;
}

export const EventpollTfdEntry: Codec<EventpollTfdEntry> = {
  name: "eventpoll_tfd_entry",
  write(w: Writer, m: EventpollTfdEntry): void {
    w.uint32(8, m.id, "eventpoll_tfd_entry.id");
    w.uint32(16, m.tfd, "eventpoll_tfd_entry.tfd");
    w.uint32(24, m.events, "eventpoll_tfd_entry.events");
    w.uint64(32, m.data, "eventpoll_tfd_entry.data");
    if (m.dev !== undefined) w.uint32(40, m.dev, "eventpoll_tfd_entry.dev");
    if (m.inode !== undefined) w.uint64(48, m.inode, "eventpoll_tfd_entry.inode");
    if (m.pos !== undefined) w.uint64(56, m.pos, "eventpoll_tfd_entry.pos");
    if (m.file_id !== undefined) w.uint32(8000, m.file_id, "eventpoll_tfd_entry.file_id");
    if (m.registered !== undefined) w.uint32(8008, m.registered, "eventpoll_tfd_entry.registered");
  },
  read(r: Reader): EventpollTfdEntry {
    let id: number | undefined;
    let tfd: number | undefined;
    let events: number | undefined;
    let data_: bigint | undefined;
    let dev: number | undefined;
    let inode: bigint | undefined;
    let pos: bigint | undefined;
    let file_id: number | undefined;
    let registered: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          tfd = r.uint32();
          break;
        case 24:
          events = r.uint32();
          break;
        case 32:
          data_ = r.uint64();
          break;
        case 40:
          dev = r.uint32();
          break;
        case 48:
          inode = r.uint64();
          break;
        case 56:
          pos = r.uint64();
          break;
        case 8000:
          file_id = r.uint32();
          break;
        case 8008:
          registered = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("eventpoll_tfd_entry.id");
    if (tfd === undefined) return r.missing("eventpoll_tfd_entry.tfd");
    if (events === undefined) return r.missing("eventpoll_tfd_entry.events");
    if (data_ === undefined) return r.missing("eventpoll_tfd_entry.data");
    return { id, tfd, events, data: data_, dev, inode, pos, file_id, registered };
  },
};

export interface SignalfdEntry {
  id: number;
  flags: number;
  fown: FownEntry;
  sigmask: bigint;
}

export const SignalfdEntry: Codec<SignalfdEntry> = {
  name: "signalfd_entry",
  write(w: Writer, m: SignalfdEntry): void {
    w.uint32(8, m.id, "signalfd_entry.id");
    w.uint32(16, m.flags, "signalfd_entry.flags");
    w.message(26, FownEntry, m.fown, "signalfd_entry.fown");
    w.uint64(32, m.sigmask, "signalfd_entry.sigmask");
  },
  read(r: Reader): SignalfdEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    let sigmask: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 26:
          fown = r.message(FownEntry);
          break;
        case 32:
          sigmask = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("signalfd_entry.id");
    if (flags === undefined) return r.missing("signalfd_entry.flags");
    if (fown === undefined) return r.missing("signalfd_entry.fown");
    if (sigmask === undefined) return r.missing("signalfd_entry.sigmask");
    return { id, flags, fown, sigmask };
  },
};

export interface TimerfdEntry {
  id: number;
  flags: number;
  fown: FownEntry;
  clockid: number;
  ticks: bigint;
  settime_flags: number;
  vsec: bigint;
  vnsec: bigint;
  isec: bigint;
  insec: bigint;
  /** this program's own: of a timer by the wall clock, when by that clock */
  expires_nsec?: bigint | undefined;
}

export const TimerfdEntry: Codec<TimerfdEntry> = {
  name: "timerfd_entry",
  write(w: Writer, m: TimerfdEntry): void {
    w.uint32(8, m.id, "timerfd_entry.id");
    w.uint32(16, m.flags, "timerfd_entry.flags");
    w.message(26, FownEntry, m.fown, "timerfd_entry.fown");
    w.uint32(32, m.clockid, "timerfd_entry.clockid");
    w.uint64(40, m.ticks, "timerfd_entry.ticks");
    w.uint32(48, m.settime_flags, "timerfd_entry.settime_flags");
    w.uint64(56, m.vsec, "timerfd_entry.vsec");
    w.uint64(64, m.vnsec, "timerfd_entry.vnsec");
    w.uint64(72, m.isec, "timerfd_entry.isec");
    w.uint64(80, m.insec, "timerfd_entry.insec");
    if (m.expires_nsec !== undefined) w.uint64(8000, m.expires_nsec, "timerfd_entry.expires_nsec");
  },
  read(r: Reader): TimerfdEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    let clockid: number | undefined;
    let ticks: bigint | undefined;
    let settime_flags: number | undefined;
    let vsec: bigint | undefined;
    let vnsec: bigint | undefined;
    let isec: bigint | undefined;
    let insec: bigint | undefined;
    let expires_nsec: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 26:
          fown = r.message(FownEntry);
          break;
        case 32:
          clockid = r.uint32();
          break;
        case 40:
          ticks = r.uint64();
          break;
        case 48:
          settime_flags = r.uint32();
          break;
        case 56:
          vsec = r.uint64();
          break;
        case 64:
          vnsec = r.uint64();
          break;
        case 72:
          isec = r.uint64();
          break;
        case 80:
          insec = r.uint64();
          break;
        case 8000:
          expires_nsec = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("timerfd_entry.id");
    if (flags === undefined) return r.missing("timerfd_entry.flags");
    if (fown === undefined) return r.missing("timerfd_entry.fown");
    if (clockid === undefined) return r.missing("timerfd_entry.clockid");
    if (ticks === undefined) return r.missing("timerfd_entry.ticks");
    if (settime_flags === undefined) return r.missing("timerfd_entry.settime_flags");
    if (vsec === undefined) return r.missing("timerfd_entry.vsec");
    if (vnsec === undefined) return r.missing("timerfd_entry.vnsec");
    if (isec === undefined) return r.missing("timerfd_entry.isec");
    if (insec === undefined) return r.missing("timerfd_entry.insec");
    return { id, flags, fown, clockid, ticks, settime_flags, vsec, vnsec, isec, insec, expires_nsec };
  },
};

export interface PidfdEntry {
  id: number;
  ino: number;
  flags: number;
  nspid: NsPid;
  fown: FownEntry;
  /** this program's own: how the process ended, as wait(2) has it */
  exit_code?: number | undefined;
}

export const PidfdEntry: Codec<PidfdEntry> = {
  name: "pidfd_entry",
  write(w: Writer, m: PidfdEntry): void {
    w.uint32(8, m.id, "pidfd_entry.id");
    w.uint32(16, m.ino, "pidfd_entry.ino");
    w.uint32(24, m.flags, "pidfd_entry.flags");
    w.int32(32, m.nspid, "pidfd_entry.nspid");
    w.message(42, FownEntry, m.fown, "pidfd_entry.fown");
    if (m.exit_code !== undefined) w.uint32(8000, m.exit_code, "pidfd_entry.exit_code");
  },
  read(r: Reader): PidfdEntry {
    let id: number | undefined;
    let ino: number | undefined;
    let flags: number | undefined;
    let nspid: NsPid | undefined;
    let fown: FownEntry | undefined;
    let exit_code: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          ino = r.uint32();
          break;
        case 24:
          flags = r.uint32();
          break;
        case 32:
          nspid = nsPid(r.int32());
          break;
        case 42:
          fown = r.message(FownEntry);
          break;
        case 8000:
          exit_code = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("pidfd_entry.id");
    if (ino === undefined) return r.missing("pidfd_entry.ino");
    if (flags === undefined) return r.missing("pidfd_entry.flags");
    if (nspid === undefined) return r.missing("pidfd_entry.nspid");
    if (fown === undefined) return r.missing("pidfd_entry.fown");
    return { id, ino, flags, nspid, fown, exit_code };
  },
};

export interface MemfdFileEntry {
  id: number;
  flags: number;
  pos: bigint;
  fown: FownEntry;
  /** in memfd.img */
  inode_id: number;
}

export const MemfdFileEntry: Codec<MemfdFileEntry> = {
  name: "memfd_file_entry",
  write(w: Writer, m: MemfdFileEntry): void {
    w.uint32(8, m.id, "memfd_file_entry.id");
    w.uint32(16, m.flags, "memfd_file_entry.flags");
    w.uint64(24, m.pos, "memfd_file_entry.pos");
    w.message(34, FownEntry, m.fown, "memfd_file_entry.fown");
    w.uint32(40, m.inode_id, "memfd_file_entry.inode_id");
  },
  read(r: Reader): MemfdFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let pos: bigint | undefined;
    let fown: FownEntry | undefined;
    let inode_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 24:
          pos = r.uint64();
          break;
        case 34:
          fown = r.message(FownEntry);
          break;
        case 40:
          inode_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("memfd_file_entry.id");
    if (flags === undefined) return r.missing("memfd_file_entry.flags");
    if (pos === undefined) return r.missing("memfd_file_entry.pos");
    if (fown === undefined) return r.missing("memfd_file_entry.fown");
    if (inode_id === undefined) return r.missing("memfd_file_entry.inode_id");
    return { id, flags, pos, fown, inode_id };
  },
};

export interface BpfmapFileEntry {
  id: number;
  flags: number;
  pos: bigint;
  fown: FownEntry;
  map_type: number;
  key_size: number;
  value_size: number;
  map_id: number;
  max_entries: number;
  map_flags: number;
  memlock: bigint;
  frozen: boolean;
  map_name: string;
  ifindex: number;
  mnt_id?: number | undefined;
  map_extra?: bigint | undefined;
}

export const BpfmapFileEntry: Codec<BpfmapFileEntry> = {
  name: "bpfmap_file_entry",
  write(w: Writer, m: BpfmapFileEntry): void {
    w.uint32(8, m.id, "bpfmap_file_entry.id");
    w.uint32(16, m.flags, "bpfmap_file_entry.flags");
    w.uint64(24, m.pos, "bpfmap_file_entry.pos");
    w.message(34, FownEntry, m.fown, "bpfmap_file_entry.fown");
    w.uint32(40, m.map_type, "bpfmap_file_entry.map_type");
    w.uint32(48, m.key_size, "bpfmap_file_entry.key_size");
    w.uint32(56, m.value_size, "bpfmap_file_entry.value_size");
    w.uint32(64, m.map_id, "bpfmap_file_entry.map_id");
    w.uint32(72, m.max_entries, "bpfmap_file_entry.max_entries");
    w.uint32(80, m.map_flags, "bpfmap_file_entry.map_flags");
    w.uint64(88, m.memlock, "bpfmap_file_entry.memlock");
    w.bool(96, m.frozen, "bpfmap_file_entry.frozen");
    w.string(106, m.map_name, "bpfmap_file_entry.map_name");
    w.uint32(112, m.ifindex, "bpfmap_file_entry.ifindex");
    if (m.mnt_id !== undefined) w.sint32(120, m.mnt_id, "bpfmap_file_entry.mnt_id");
    if (m.map_extra !== undefined) w.uint64(128, m.map_extra, "bpfmap_file_entry.map_extra");
  },
  read(r: Reader): BpfmapFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let pos: bigint | undefined;
    let fown: FownEntry | undefined;
    let map_type: number | undefined;
    let key_size: number | undefined;
    let value_size: number | undefined;
    let map_id: number | undefined;
    let max_entries: number | undefined;
    let map_flags: number | undefined;
    let memlock: bigint | undefined;
    let frozen: boolean | undefined;
    let map_name: string | undefined;
    let ifindex: number | undefined;
    let mnt_id: number | undefined;
    let map_extra: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 24:
          pos = r.uint64();
          break;
        case 34:
          fown = r.message(FownEntry);
          break;
        case 40:
          map_type = r.uint32();
          break;
        case 48:
          key_size = r.uint32();
          break;
        case 56:
          value_size = r.uint32();
          break;
        case 64:
          map_id = r.uint32();
          break;
        case 72:
          max_entries = r.uint32();
          break;
        case 80:
          map_flags = r.uint32();
          break;
        case 88:
          memlock = r.uint64();
          break;
        case 96:
          frozen = r.bool();
          break;
        case 106:
          map_name = r.string();
          break;
        case 112:
          ifindex = r.uint32();
          break;
        case 120:
          mnt_id = r.sint32();
          break;
        case 128:
          map_extra = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("bpfmap_file_entry.id");
    if (flags === undefined) return r.missing("bpfmap_file_entry.flags");
    if (pos === undefined) return r.missing("bpfmap_file_entry.pos");
    if (fown === undefined) return r.missing("bpfmap_file_entry.fown");
    if (map_type === undefined) return r.missing("bpfmap_file_entry.map_type");
    if (key_size === undefined) return r.missing("bpfmap_file_entry.key_size");
    if (value_size === undefined) return r.missing("bpfmap_file_entry.value_size");
    if (map_id === undefined) return r.missing("bpfmap_file_entry.map_id");
    if (max_entries === undefined) return r.missing("bpfmap_file_entry.max_entries");
    if (map_flags === undefined) return r.missing("bpfmap_file_entry.map_flags");
    if (memlock === undefined) return r.missing("bpfmap_file_entry.memlock");
    if (frozen === undefined) return r.missing("bpfmap_file_entry.frozen");
    if (map_name === undefined) return r.missing("bpfmap_file_entry.map_name");
    if (ifindex === undefined) return r.missing("bpfmap_file_entry.ifindex");
    return { id, flags, pos, fown, map_type, key_size, value_size, map_id, max_entries, map_flags, memlock, frozen, map_name, ifindex, mnt_id, map_extra };
  },
};

/** bpfmap-data.img; all keys, then all values follow each entry. */
export interface BpfmapDataEntry {
  map_id: number;
  keys_bytes: number;
  values_bytes: number;
  count: number;
}

export const BpfmapDataEntry: Codec<BpfmapDataEntry> = {
  name: "bpfmap_data_entry",
  write(w: Writer, m: BpfmapDataEntry): void {
    w.uint32(8, m.map_id, "bpfmap_data_entry.map_id");
    w.uint32(16, m.keys_bytes, "bpfmap_data_entry.keys_bytes");
    w.uint32(24, m.values_bytes, "bpfmap_data_entry.values_bytes");
    w.uint32(32, m.count, "bpfmap_data_entry.count");
  },
  read(r: Reader): BpfmapDataEntry {
    let map_id: number | undefined;
    let keys_bytes: number | undefined;
    let values_bytes: number | undefined;
    let count: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          map_id = r.uint32();
          break;
        case 16:
          keys_bytes = r.uint32();
          break;
        case 24:
          values_bytes = r.uint32();
          break;
        case 32:
          count = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (map_id === undefined) return r.missing("bpfmap_data_entry.map_id");
    if (keys_bytes === undefined) return r.missing("bpfmap_data_entry.keys_bytes");
    if (values_bytes === undefined) return r.missing("bpfmap_data_entry.values_bytes");
    if (count === undefined) return r.missing("bpfmap_data_entry.count");
    return { map_id, keys_bytes, values_bytes, count };
  },
};

export interface TunfileEntry {
  id: number;
  netdev?: string | undefined;
  detached?: boolean | undefined;
  ns_id?: number | undefined;
}

export const TunfileEntry: Codec<TunfileEntry> = {
  name: "tunfile_entry",
  write(w: Writer, m: TunfileEntry): void {
    w.uint32(8, m.id, "tunfile_entry.id");
    if (m.netdev !== undefined) w.string(18, m.netdev, "tunfile_entry.netdev");
    if (m.detached !== undefined) w.bool(24, m.detached, "tunfile_entry.detached");
    if (m.ns_id !== undefined) w.uint32(32, m.ns_id, "tunfile_entry.ns_id");
  },
  read(r: Reader): TunfileEntry {
    let id: number | undefined;
    let netdev: string | undefined;
    let detached: boolean | undefined;
    let ns_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 18:
          netdev = r.string();
          break;
        case 24:
          detached = r.bool();
          break;
        case 32:
          ns_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("tunfile_entry.id");
    return { id, netdev, detached, ns_id };
  },
};

export interface InotifyFileEntry {
  id: number;
  flags: number;
  fown: FownEntry;
  wd: InotifyWdEntry[];
}

export const InotifyFileEntry: Codec<InotifyFileEntry> = {
  name: "inotify_file_entry",
  write(w: Writer, m: InotifyFileEntry): void {
    w.uint32(8, m.id, "inotify_file_entry.id");
    w.uint32(16, m.flags, "inotify_file_entry.flags");
    w.message(34, FownEntry, m.fown, "inotify_file_entry.fown");
    for (const v of m.wd) w.message(42, InotifyWdEntry, v, "inotify_file_entry.wd");
  },
  read(r: Reader): InotifyFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    const wd: InotifyWdEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 34:
          fown = r.message(FownEntry);
          break;
        case 42:
          wd.push(r.message(InotifyWdEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("inotify_file_entry.id");
    if (flags === undefined) return r.missing("inotify_file_entry.flags");
    if (fown === undefined) return r.missing("inotify_file_entry.fown");
    return { id, flags, fown, wd };
  },
};

export interface InotifyWdEntry {
  id: number;
  i_ino: bigint;
  mask: number;
  ignored_mask: number;
  s_dev: number;
  wd: number;
  f_handle: FhEntry;
}

export const InotifyWdEntry: Codec<InotifyWdEntry> = {
  name: "inotify_wd_entry",
  write(w: Writer, m: InotifyWdEntry): void {
    w.uint32(8, m.id, "inotify_wd_entry.id");
    w.uint64(16, m.i_ino, "inotify_wd_entry.i_ino");
    w.uint32(24, m.mask, "inotify_wd_entry.mask");
    w.uint32(32, m.ignored_mask, "inotify_wd_entry.ignored_mask");
    w.uint32(40, m.s_dev, "inotify_wd_entry.s_dev");
    w.uint32(48, m.wd, "inotify_wd_entry.wd");
    w.message(58, FhEntry, m.f_handle, "inotify_wd_entry.f_handle");
  },
  read(r: Reader): InotifyWdEntry {
    let id: number | undefined;
    let i_ino: bigint | undefined;
    let mask: number | undefined;
    let ignored_mask: number | undefined;
    let s_dev: number | undefined;
    let wd: number | undefined;
    let f_handle: FhEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          i_ino = r.uint64();
          break;
        case 24:
          mask = r.uint32();
          break;
        case 32:
          ignored_mask = r.uint32();
          break;
        case 40:
          s_dev = r.uint32();
          break;
        case 48:
          wd = r.uint32();
          break;
        case 58:
          f_handle = r.message(FhEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("inotify_wd_entry.id");
    if (i_ino === undefined) return r.missing("inotify_wd_entry.i_ino");
    if (mask === undefined) return r.missing("inotify_wd_entry.mask");
    if (ignored_mask === undefined) return r.missing("inotify_wd_entry.ignored_mask");
    if (s_dev === undefined) return r.missing("inotify_wd_entry.s_dev");
    if (wd === undefined) return r.missing("inotify_wd_entry.wd");
    if (f_handle === undefined) return r.missing("inotify_wd_entry.f_handle");
    return { id, i_ino, mask, ignored_mask, s_dev, wd, f_handle };
  },
};

export interface FanotifyFileEntry {
  id: number;
  flags: number;
  fown: FownEntry;
  faflags: number;
  evflags: number;
  mark: FanotifyMarkEntry[];
}

export const FanotifyFileEntry: Codec<FanotifyFileEntry> = {
  name: "fanotify_file_entry",
  write(w: Writer, m: FanotifyFileEntry): void {
    w.uint32(8, m.id, "fanotify_file_entry.id");
    w.uint32(16, m.flags, "fanotify_file_entry.flags");
    w.message(26, FownEntry, m.fown, "fanotify_file_entry.fown");
    w.uint32(32, m.faflags, "fanotify_file_entry.faflags");
    w.uint32(40, m.evflags, "fanotify_file_entry.evflags");
    for (const v of m.mark) w.message(50, FanotifyMarkEntry, v, "fanotify_file_entry.mark");
  },
  read(r: Reader): FanotifyFileEntry {
    let id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    let faflags: number | undefined;
    let evflags: number | undefined;
    const mark: FanotifyMarkEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        case 26:
          fown = r.message(FownEntry);
          break;
        case 32:
          faflags = r.uint32();
          break;
        case 40:
          evflags = r.uint32();
          break;
        case 50:
          mark.push(r.message(FanotifyMarkEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("fanotify_file_entry.id");
    if (flags === undefined) return r.missing("fanotify_file_entry.flags");
    if (fown === undefined) return r.missing("fanotify_file_entry.fown");
    if (faflags === undefined) return r.missing("fanotify_file_entry.faflags");
    if (evflags === undefined) return r.missing("fanotify_file_entry.evflags");
    return { id, flags, fown, faflags, evflags, mark };
  },
};

export const MarkType = {
  INODE: 1,
  MOUNT: 2,
  FILESYSTEM: 1000,
} as const;
export type MarkType = (typeof MarkType)[keyof typeof MarkType];
export function isMarkType(value: number): value is MarkType {
  return (value >= 1 && value <= 2) || value === 1000;
}

export interface FanotifyMarkEntry {
  id: number;
  type: MarkType;
  mflags: number;
  mask: number;
  ignored_mask: number;
  s_dev: number;
  ie?: FanotifyInodeMarkEntry | undefined;
  me?: FanotifyMountMarkEntry | undefined;
}

export const FanotifyMarkEntry: Codec<FanotifyMarkEntry> = {
  name: "fanotify_mark_entry",
  write(w: Writer, m: FanotifyMarkEntry): void {
    w.uint32(8, m.id, "fanotify_mark_entry.id");
    w.int32(16, m.type, "fanotify_mark_entry.type");
    w.uint32(24, m.mflags, "fanotify_mark_entry.mflags");
    w.uint32(32, m.mask, "fanotify_mark_entry.mask");
    w.uint32(40, m.ignored_mask, "fanotify_mark_entry.ignored_mask");
    w.uint32(48, m.s_dev, "fanotify_mark_entry.s_dev");
    if (m.ie !== undefined) w.message(58, FanotifyInodeMarkEntry, m.ie, "fanotify_mark_entry.ie");
    if (m.me !== undefined) w.message(66, FanotifyMountMarkEntry, m.me, "fanotify_mark_entry.me");
  },
  read(r: Reader): FanotifyMarkEntry {
    let id: number | undefined;
    let type: MarkType | undefined;
    let mflags: number | undefined;
    let mask: number | undefined;
    let ignored_mask: number | undefined;
    let s_dev: number | undefined;
    let ie: FanotifyInodeMarkEntry | undefined;
    let me: FanotifyMountMarkEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          type = r.enumeration(isMarkType, "fanotify_mark_entry.type");
          break;
        case 24:
          mflags = r.uint32();
          break;
        case 32:
          mask = r.uint32();
          break;
        case 40:
          ignored_mask = r.uint32();
          break;
        case 48:
          s_dev = r.uint32();
          break;
        case 58:
          ie = r.message(FanotifyInodeMarkEntry);
          break;
        case 66:
          me = r.message(FanotifyMountMarkEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("fanotify_mark_entry.id");
    if (type === undefined) return r.missing("fanotify_mark_entry.type");
    if (mflags === undefined) return r.missing("fanotify_mark_entry.mflags");
    if (mask === undefined) return r.missing("fanotify_mark_entry.mask");
    if (ignored_mask === undefined) return r.missing("fanotify_mark_entry.ignored_mask");
    if (s_dev === undefined) return r.missing("fanotify_mark_entry.s_dev");
    return { id, type, mflags, mask, ignored_mask, s_dev, ie, me };
  },
};

export interface FanotifyInodeMarkEntry {
  i_ino: bigint;
  f_handle: FhEntry;
}

export const FanotifyInodeMarkEntry: Codec<FanotifyInodeMarkEntry> = {
  name: "fanotify_inode_mark_entry",
  write(w: Writer, m: FanotifyInodeMarkEntry): void {
    w.uint64(8, m.i_ino, "fanotify_inode_mark_entry.i_ino");
    w.message(18, FhEntry, m.f_handle, "fanotify_inode_mark_entry.f_handle");
  },
  read(r: Reader): FanotifyInodeMarkEntry {
    let i_ino: bigint | undefined;
    let f_handle: FhEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          i_ino = r.uint64();
          break;
        case 18:
          f_handle = r.message(FhEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    if (i_ino === undefined) return r.missing("fanotify_inode_mark_entry.i_ino");
    if (f_handle === undefined) return r.missing("fanotify_inode_mark_entry.f_handle");
    return { i_ino, f_handle };
  },
};

export interface FanotifyMountMarkEntry {
  mnt_id: number;
  path?: string | undefined;
}

export const FanotifyMountMarkEntry: Codec<FanotifyMountMarkEntry> = {
  name: "fanotify_mount_mark_entry",
  write(w: Writer, m: FanotifyMountMarkEntry): void {
    w.uint32(8, m.mnt_id, "fanotify_mount_mark_entry.mnt_id");
    if (m.path !== undefined) w.string(18, m.path, "fanotify_mount_mark_entry.path");
  },
  read(r: Reader): FanotifyMountMarkEntry {
    let mnt_id: number | undefined;
    let path: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mnt_id = r.uint32();
          break;
        case 18:
          path = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mnt_id === undefined) return r.missing("fanotify_mount_mark_entry.mnt_id");
    return { mnt_id, path };
  },
};

/** How many words fh_entry.handle has at least. */
export const FhEntrySizes = {
  min_entries: 16,
} as const;
export type FhEntrySizes = (typeof FhEntrySizes)[keyof typeof FhEntrySizes];
export function isFhEntrySizes(value: number): value is FhEntrySizes {
  return value === 16;
}

/** A file handle as open_by_handle_at(2) takes it. */
export interface FhEntry {
  bytes: number;
  type: number;
  handle: bigint[];
  path?: string | undefined;
  mnt_id?: number | undefined;
  /** this program's own: an open file of the same inode, where that has no path */
  file_id?: number | undefined;
}

export const FhEntry: Codec<FhEntry> = {
  name: "fh_entry",
  write(w: Writer, m: FhEntry): void {
    w.uint32(8, m.bytes, "fh_entry.bytes");
    w.uint32(16, m.type, "fh_entry.type");
    w.uint64s(24, m.handle, "fh_entry.handle");
    if (m.path !== undefined) w.string(34, m.path, "fh_entry.path");
    if (m.mnt_id !== undefined) w.uint32(40, m.mnt_id, "fh_entry.mnt_id");
    if (m.file_id !== undefined) w.uint32(8000, m.file_id, "fh_entry.file_id");
  },
  read(r: Reader): FhEntry {
    let bytes: number | undefined;
    let type: number | undefined;
    const handle: bigint[] = [];
    let path: string | undefined;
    let mnt_id: number | undefined;
    let file_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          bytes = r.uint32();
          break;
        case 16:
          type = r.uint32();
          break;
        case 24:
          handle.push(r.uint64());
          break;
        case 26:
          r.packed(handle, r.uint64);
          break;
        case 34:
          path = r.string();
          break;
        case 40:
          mnt_id = r.uint32();
          break;
        case 8000:
          file_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (bytes === undefined) return r.missing("fh_entry.bytes");
    if (type === undefined) return r.missing("fh_entry.type");
    return { bytes, type, handle, path, mnt_id, file_id };
  },
};

/** irmap-cache: paths that were found for (device, inode). */
export interface IrmapCacheEntry {
  dev: number;
  inode: bigint;
  path: string;
}

export const IrmapCacheEntry: Codec<IrmapCacheEntry> = {
  name: "irmap_cache_entry",
  write(w: Writer, m: IrmapCacheEntry): void {
    w.uint32(8, m.dev, "irmap_cache_entry.dev");
    w.uint64(16, m.inode, "irmap_cache_entry.inode");
    w.string(26, m.path, "irmap_cache_entry.path");
  },
  read(r: Reader): IrmapCacheEntry {
    let dev: number | undefined;
    let inode: bigint | undefined;
    let path: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          dev = r.uint32();
          break;
        case 16:
          inode = r.uint64();
          break;
        case 26:
          path = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (dev === undefined) return r.missing("irmap_cache_entry.dev");
    if (inode === undefined) return r.missing("irmap_cache_entry.inode");
    if (path === undefined) return r.missing("irmap_cache_entry.path");
    return { dev, inode, path };
  },
};

export interface TtyFileEntry {
  id: number;
  tty_info_id: number;
  flags: number;
  fown: FownEntry;
  regf_id?: number | undefined;
}

export const TtyFileEntry: Codec<TtyFileEntry> = {
  name: "tty_file_entry",
  write(w: Writer, m: TtyFileEntry): void {
    w.uint32(8, m.id, "tty_file_entry.id");
    w.uint32(16, m.tty_info_id, "tty_file_entry.tty_info_id");
    w.uint32(24, m.flags, "tty_file_entry.flags");
    w.message(34, FownEntry, m.fown, "tty_file_entry.fown");
    if (m.regf_id !== undefined) w.uint32(48, m.regf_id, "tty_file_entry.regf_id");
  },
  read(r: Reader): TtyFileEntry {
    let id: number | undefined;
    let tty_info_id: number | undefined;
    let flags: number | undefined;
    let fown: FownEntry | undefined;
    let regf_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          tty_info_id = r.uint32();
          break;
        case 24:
          flags = r.uint32();
          break;
        case 34:
          fown = r.message(FownEntry);
          break;
        case 48:
          regf_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("tty_file_entry.id");
    if (tty_info_id === undefined) return r.missing("tty_file_entry.tty_info_id");
    if (flags === undefined) return r.missing("tty_file_entry.flags");
    if (fown === undefined) return r.missing("tty_file_entry.fown");
    return { id, tty_info_id, flags, fown, regf_id };
  },
};

export const TtyType = {
  UNKNOWN: 0,
  PTY: 1,
  CONSOLE: 2,
  VT: 3,
  CTTY: 4,
  EXT_TTY: 5,
  SERIAL: 6,
} as const;
export type TtyType = (typeof TtyType)[keyof typeof TtyType];
export function isTtyType(value: number): value is TtyType {
  return (value >= 0 && value <= 6);
}

/** tty-info.img */
export interface TtyInfoEntry {
  id: number;
  type: TtyType;
  locked: boolean;
  exclusive: boolean;
  packet_mode: boolean;
  sid: NsPid;
  pgrp: NsPid;
  rdev: number;
  termios?: TermiosEntry | undefined;
  termios_locked?: TermiosEntry | undefined;
  winsize?: WinsizeEntry | undefined;
  pty?: TtyPtyEntry | undefined;
  dev?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  /** this program's own: of a master whose slave was open once, and is closed */
  peer_closed?: boolean | undefined;
}

export const TtyInfoEntry: Codec<TtyInfoEntry> = {
  name: "tty_info_entry",
  write(w: Writer, m: TtyInfoEntry): void {
    w.uint32(8, m.id, "tty_info_entry.id");
    w.int32(16, m.type, "tty_info_entry.type");
    w.bool(24, m.locked, "tty_info_entry.locked");
    w.bool(32, m.exclusive, "tty_info_entry.exclusive");
    w.bool(40, m.packet_mode, "tty_info_entry.packet_mode");
    w.uint32(48, m.sid, "tty_info_entry.sid");
    w.uint32(56, m.pgrp, "tty_info_entry.pgrp");
    w.uint32(64, m.rdev, "tty_info_entry.rdev");
    if (m.termios !== undefined) w.message(74, TermiosEntry, m.termios, "tty_info_entry.termios");
    if (m.termios_locked !== undefined) w.message(82, TermiosEntry, m.termios_locked, "tty_info_entry.termios_locked");
    if (m.winsize !== undefined) w.message(90, WinsizeEntry, m.winsize, "tty_info_entry.winsize");
    if (m.pty !== undefined) w.message(98, TtyPtyEntry, m.pty, "tty_info_entry.pty");
    if (m.dev !== undefined) w.uint32(104, m.dev, "tty_info_entry.dev");
    if (m.uid !== undefined) w.uint32(112, m.uid, "tty_info_entry.uid");
    if (m.gid !== undefined) w.uint32(120, m.gid, "tty_info_entry.gid");
    if (m.peer_closed !== undefined) w.bool(8000, m.peer_closed, "tty_info_entry.peer_closed");
  },
  read(r: Reader): TtyInfoEntry {
    let id: number | undefined;
    let type: TtyType | undefined;
    let locked: boolean | undefined;
    let exclusive: boolean | undefined;
    let packet_mode: boolean | undefined;
    let sid: NsPid | undefined;
    let pgrp: NsPid | undefined;
    let rdev: number | undefined;
    let termios: TermiosEntry | undefined;
    let termios_locked: TermiosEntry | undefined;
    let winsize: WinsizeEntry | undefined;
    let pty: TtyPtyEntry | undefined;
    let dev: number | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    let peer_closed: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          type = r.enumeration(isTtyType, "tty_info_entry.type");
          break;
        case 24:
          locked = r.bool();
          break;
        case 32:
          exclusive = r.bool();
          break;
        case 40:
          packet_mode = r.bool();
          break;
        case 48:
          sid = nsPid(r.uint32());
          break;
        case 56:
          pgrp = nsPid(r.uint32());
          break;
        case 64:
          rdev = r.uint32();
          break;
        case 74:
          termios = r.message(TermiosEntry);
          break;
        case 82:
          termios_locked = r.message(TermiosEntry);
          break;
        case 90:
          winsize = r.message(WinsizeEntry);
          break;
        case 98:
          pty = r.message(TtyPtyEntry);
          break;
        case 104:
          dev = r.uint32();
          break;
        case 112:
          uid = r.uint32();
          break;
        case 120:
          gid = r.uint32();
          break;
        case 8000:
          peer_closed = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("tty_info_entry.id");
    if (type === undefined) return r.missing("tty_info_entry.type");
    if (locked === undefined) return r.missing("tty_info_entry.locked");
    if (exclusive === undefined) return r.missing("tty_info_entry.exclusive");
    if (packet_mode === undefined) return r.missing("tty_info_entry.packet_mode");
    if (sid === undefined) return r.missing("tty_info_entry.sid");
    if (pgrp === undefined) return r.missing("tty_info_entry.pgrp");
    if (rdev === undefined) return r.missing("tty_info_entry.rdev");
    return { id, type, locked, exclusive, packet_mode, sid, pgrp, rdev, termios, termios_locked, winsize, pty, dev, uid, gid, peer_closed };
  },
};

export interface TermiosEntry {
  c_iflag: number;
  c_oflag: number;
  c_cflag: number;
  c_lflag: number;
  c_line: number;
  c_ispeed: number;
  c_ospeed: number;
  c_cc: number[];
}

export const TermiosEntry: Codec<TermiosEntry> = {
  name: "termios_entry",
  write(w: Writer, m: TermiosEntry): void {
    w.uint32(8, m.c_iflag, "termios_entry.c_iflag");
    w.uint32(16, m.c_oflag, "termios_entry.c_oflag");
    w.uint32(24, m.c_cflag, "termios_entry.c_cflag");
    w.uint32(32, m.c_lflag, "termios_entry.c_lflag");
    w.uint32(40, m.c_line, "termios_entry.c_line");
    w.uint32(48, m.c_ispeed, "termios_entry.c_ispeed");
    w.uint32(56, m.c_ospeed, "termios_entry.c_ospeed");
    w.uint32s(64, m.c_cc, "termios_entry.c_cc");
  },
  read(r: Reader): TermiosEntry {
    let c_iflag: number | undefined;
    let c_oflag: number | undefined;
    let c_cflag: number | undefined;
    let c_lflag: number | undefined;
    let c_line: number | undefined;
    let c_ispeed: number | undefined;
    let c_ospeed: number | undefined;
    const c_cc: number[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          c_iflag = r.uint32();
          break;
        case 16:
          c_oflag = r.uint32();
          break;
        case 24:
          c_cflag = r.uint32();
          break;
        case 32:
          c_lflag = r.uint32();
          break;
        case 40:
          c_line = r.uint32();
          break;
        case 48:
          c_ispeed = r.uint32();
          break;
        case 56:
          c_ospeed = r.uint32();
          break;
        case 64:
          c_cc.push(r.uint32());
          break;
        case 66:
          r.packed(c_cc, r.uint32);
          break;
        default:
          r.skip(tag);
      }
    }
    if (c_iflag === undefined) return r.missing("termios_entry.c_iflag");
    if (c_oflag === undefined) return r.missing("termios_entry.c_oflag");
    if (c_cflag === undefined) return r.missing("termios_entry.c_cflag");
    if (c_lflag === undefined) return r.missing("termios_entry.c_lflag");
    if (c_line === undefined) return r.missing("termios_entry.c_line");
    if (c_ispeed === undefined) return r.missing("termios_entry.c_ispeed");
    if (c_ospeed === undefined) return r.missing("termios_entry.c_ospeed");
    return { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_ispeed, c_ospeed, c_cc };
  },
};

export interface WinsizeEntry {
  ws_row: number;
  ws_col: number;
  ws_xpixel: number;
  ws_ypixel: number;
}

export const WinsizeEntry: Codec<WinsizeEntry> = {
  name: "winsize_entry",
  write(w: Writer, m: WinsizeEntry): void {
    w.uint32(8, m.ws_row, "winsize_entry.ws_row");
    w.uint32(16, m.ws_col, "winsize_entry.ws_col");
    w.uint32(24, m.ws_xpixel, "winsize_entry.ws_xpixel");
    w.uint32(32, m.ws_ypixel, "winsize_entry.ws_ypixel");
  },
  read(r: Reader): WinsizeEntry {
    let ws_row: number | undefined;
    let ws_col: number | undefined;
    let ws_xpixel: number | undefined;
    let ws_ypixel: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          ws_row = r.uint32();
          break;
        case 16:
          ws_col = r.uint32();
          break;
        case 24:
          ws_xpixel = r.uint32();
          break;
        case 32:
          ws_ypixel = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (ws_row === undefined) return r.missing("winsize_entry.ws_row");
    if (ws_col === undefined) return r.missing("winsize_entry.ws_col");
    if (ws_xpixel === undefined) return r.missing("winsize_entry.ws_xpixel");
    if (ws_ypixel === undefined) return r.missing("winsize_entry.ws_ypixel");
    return { ws_row, ws_col, ws_xpixel, ws_ypixel };
  },
};

export interface TtyPtyEntry {
  index: number;
}

export const TtyPtyEntry: Codec<TtyPtyEntry> = {
  name: "tty_pty_entry",
  write(w: Writer, m: TtyPtyEntry): void {
    w.uint32(8, m.index, "tty_pty_entry.index");
  },
  read(r: Reader): TtyPtyEntry {
    let index: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          index = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (index === undefined) return r.missing("tty_pty_entry.index");
    return { index };
  },
};

/** tty-data.img: what nobody had read yet. */
export interface TtyDataEntry {
  tty_id: number;
  data: Uint8Array;
}

export const TtyDataEntry: Codec<TtyDataEntry> = {
  name: "tty_data_entry",
  write(w: Writer, m: TtyDataEntry): void {
    w.uint32(8, m.tty_id, "tty_data_entry.tty_id");
    w.bytes(18, m.data, "tty_data_entry.data");
  },
  read(r: Reader): TtyDataEntry {
    let tty_id: number | undefined;
    let data_: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          tty_id = r.uint32();
          break;
        case 18:
          data_ = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (tty_id === undefined) return r.missing("tty_data_entry.tty_id");
    if (data_ === undefined) return r.missing("tty_data_entry.data");
    return { tty_id, data: data_ };
  },
};

export const RemapType = {
  LINKED: 0,
  GHOST: 1,
  PROCFS: 2,
} as const;
export type RemapType = (typeof RemapType)[keyof typeof RemapType];
export function isRemapType(value: number): value is RemapType {
  return (value >= 0 && value <= 2);
}

/** remap-fpath.img: file `orig_id` is to be found as `remap_id`. */
export interface RemapFilePathEntry {
  orig_id: number;
  remap_id: number;
  remap_type?: RemapType | undefined;
}

export const RemapFilePathEntry: Codec<RemapFilePathEntry> = {
  name: "remap_file_path_entry",
  write(w: Writer, m: RemapFilePathEntry): void {
    w.uint32(8, m.orig_id, "remap_file_path_entry.orig_id");
    w.uint32(16, m.remap_id, "remap_file_path_entry.remap_id");
    if (m.remap_type !== undefined) w.int32(24, m.remap_type, "remap_file_path_entry.remap_type");
  },
  read(r: Reader): RemapFilePathEntry {
    let orig_id: number | undefined;
    let remap_id: number | undefined;
    let remap_type: RemapType | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          orig_id = r.uint32();
          break;
        case 16:
          remap_id = r.uint32();
          break;
        case 24:
          remap_type = r.enumeration(isRemapType, "remap_file_path_entry.remap_type");
          break;
        default:
          r.skip(tag);
      }
    }
    if (orig_id === undefined) return r.missing("remap_file_path_entry.orig_id");
    if (remap_id === undefined) return r.missing("remap_file_path_entry.remap_id");
    return { orig_id, remap_id, remap_type };
  },
};

/** ghost-file-ID.img begins with this. With `chunks`, ghost_chunk_entry and its bytes follow until the end; else the whole content follows. */
export interface GhostFileEntry {
  uid: number;
  gid: number;
  mode: number;
  dev?: number | undefined;
  ino?: bigint | undefined;
  rdev?: number | undefined;
  atim?: Timeval | undefined;
  mtim?: Timeval | undefined;
  chunks?: boolean | undefined;
  size?: bigint | undefined;
  symlnk_target?: string | undefined;
  /** this program's own: what atim.tv_usec leaves out */
  atim_nsec?: number | undefined;
  mtim_nsec?: number | undefined;
}

export const GhostFileEntry: Codec<GhostFileEntry> = {
  name: "ghost_file_entry",
  write(w: Writer, m: GhostFileEntry): void {
    w.uint32(8, m.uid, "ghost_file_entry.uid");
    w.uint32(16, m.gid, "ghost_file_entry.gid");
    w.uint32(24, m.mode, "ghost_file_entry.mode");
    if (m.dev !== undefined) w.uint32(32, m.dev, "ghost_file_entry.dev");
    if (m.ino !== undefined) w.uint64(40, m.ino, "ghost_file_entry.ino");
    if (m.rdev !== undefined) w.uint32(48, m.rdev, "ghost_file_entry.rdev");
    if (m.atim !== undefined) w.message(58, Timeval, m.atim, "ghost_file_entry.atim");
    if (m.mtim !== undefined) w.message(66, Timeval, m.mtim, "ghost_file_entry.mtim");
    if (m.chunks !== undefined) w.bool(72, m.chunks, "ghost_file_entry.chunks");
    if (m.size !== undefined) w.uint64(80, m.size, "ghost_file_entry.size");
    if (m.symlnk_target !== undefined) w.string(90, m.symlnk_target, "ghost_file_entry.symlnk_target");
    if (m.atim_nsec !== undefined) w.uint32(8000, m.atim_nsec, "ghost_file_entry.atim_nsec");
    if (m.mtim_nsec !== undefined) w.uint32(8008, m.mtim_nsec, "ghost_file_entry.mtim_nsec");
  },
  read(r: Reader): GhostFileEntry {
    let uid: number | undefined;
    let gid: number | undefined;
    let mode: number | undefined;
    let dev: number | undefined;
    let ino: bigint | undefined;
    let rdev: number | undefined;
    let atim: Timeval | undefined;
    let mtim: Timeval | undefined;
    let chunks: boolean | undefined;
    let size: bigint | undefined;
    let symlnk_target: string | undefined;
    let atim_nsec: number | undefined;
    let mtim_nsec: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          uid = r.uint32();
          break;
        case 16:
          gid = r.uint32();
          break;
        case 24:
          mode = r.uint32();
          break;
        case 32:
          dev = r.uint32();
          break;
        case 40:
          ino = r.uint64();
          break;
        case 48:
          rdev = r.uint32();
          break;
        case 58:
          atim = r.message(Timeval);
          break;
        case 66:
          mtim = r.message(Timeval);
          break;
        case 72:
          chunks = r.bool();
          break;
        case 80:
          size = r.uint64();
          break;
        case 90:
          symlnk_target = r.string();
          break;
        case 8000:
          atim_nsec = r.uint32();
          break;
        case 8008:
          mtim_nsec = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (uid === undefined) return r.missing("ghost_file_entry.uid");
    if (gid === undefined) return r.missing("ghost_file_entry.gid");
    if (mode === undefined) return r.missing("ghost_file_entry.mode");
    return { uid, gid, mode, dev, ino, rdev, atim, mtim, chunks, size, symlnk_target, atim_nsec, mtim_nsec };
  },
};

export interface GhostChunkEntry {
  len: bigint;
  off: bigint;
}

export const GhostChunkEntry: Codec<GhostChunkEntry> = {
  name: "ghost_chunk_entry",
  write(w: Writer, m: GhostChunkEntry): void {
    w.uint64(8, m.len, "ghost_chunk_entry.len");
    w.uint64(16, m.off, "ghost_chunk_entry.off");
  },
  read(r: Reader): GhostChunkEntry {
    let len: bigint | undefined;
    let off: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          len = r.uint64();
          break;
        case 16:
          off = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (len === undefined) return r.missing("ghost_chunk_entry.len");
    if (off === undefined) return r.missing("ghost_chunk_entry.off");
    return { len, off };
  },
};

export interface Timeval {
  tv_sec: bigint;
  tv_usec: bigint;
}

export const Timeval: Codec<Timeval> = {
  name: "timeval",
  write(w: Writer, m: Timeval): void {
    w.uint64(8, m.tv_sec, "timeval.tv_sec");
    w.uint64(16, m.tv_usec, "timeval.tv_usec");
  },
  read(r: Reader): Timeval {
    let tv_sec: bigint | undefined;
    let tv_usec: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          tv_sec = r.uint64();
          break;
        case 16:
          tv_usec = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (tv_sec === undefined) return r.missing("timeval.tv_sec");
    if (tv_usec === undefined) return r.missing("timeval.tv_usec");
    return { tv_sec, tv_usec };
  },
};

/** filelocks.img */
export interface FileLockEntry {
  flag: number;
  type: number;
  pid: NsPid;
  fd: number;
  start: bigint;
  len: bigint;
}

export const FileLockEntry: Codec<FileLockEntry> = {
  name: "file_lock_entry",
  write(w: Writer, m: FileLockEntry): void {
    w.uint32(8, m.flag, "file_lock_entry.flag");
    w.uint32(16, m.type, "file_lock_entry.type");
    w.int32(24, m.pid, "file_lock_entry.pid");
    w.int32(32, m.fd, "file_lock_entry.fd");
    w.int64(40, m.start, "file_lock_entry.start");
    w.int64(48, m.len, "file_lock_entry.len");
  },
  read(r: Reader): FileLockEntry {
    let flag: number | undefined;
    let type: number | undefined;
    let pid: NsPid | undefined;
    let fd: number | undefined;
    let start: bigint | undefined;
    let len: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          flag = r.uint32();
          break;
        case 16:
          type = r.uint32();
          break;
        case 24:
          pid = nsPid(r.int32());
          break;
        case 32:
          fd = r.int32();
          break;
        case 40:
          start = r.int64();
          break;
        case 48:
          len = r.int64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (flag === undefined) return r.missing("file_lock_entry.flag");
    if (type === undefined) return r.missing("file_lock_entry.type");
    if (pid === undefined) return r.missing("file_lock_entry.pid");
    if (fd === undefined) return r.missing("file_lock_entry.fd");
    if (start === undefined) return r.missing("file_lock_entry.start");
    if (len === undefined) return r.missing("file_lock_entry.len");
    return { flag, type, pid, fd, start, len };
  },
};
