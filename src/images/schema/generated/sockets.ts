// Made from sockets.proto by scripts/generate-images.ts. Not to be edited.

import { type NsPid, nsPid } from "../../../linux/pid.ts";
import type { Codec, Reader, Writer } from "../../wire.ts";

/** F_SETOWN, F_SETSIG of an open file and whose rights it had. */
export interface FownEntry {
  uid: number;
  euid: number;
  signum: number;
  pid_type: number;
  pid: NsPid;
}

export const FownEntry: Codec<FownEntry> = {
  name: "fown_entry",
  write(w: Writer, m: FownEntry): void {
    w.uint32(8, m.uid, "fown_entry.uid");
    w.uint32(16, m.euid, "fown_entry.euid");
    w.uint32(24, m.signum, "fown_entry.signum");
    w.uint32(32, m.pid_type, "fown_entry.pid_type");
    w.uint32(40, m.pid, "fown_entry.pid");
  },
  read(r: Reader): FownEntry {
    let uid: number | undefined;
    let euid: number | undefined;
    let signum: number | undefined;
    let pid_type: number | undefined;
    let pid: NsPid | undefined;
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
            uid = byte;
            break;
          }
          r.pos = at;
          uid = r.uint32();
          at = r.pos;
          break;
        }
        case 16: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            euid = byte;
            break;
          }
          r.pos = at;
          euid = r.uint32();
          at = r.pos;
          break;
        }
        case 24: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            signum = byte;
            break;
          }
          r.pos = at;
          signum = r.uint32();
          at = r.pos;
          break;
        }
        case 32: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            pid_type = byte;
            break;
          }
          r.pos = at;
          pid_type = r.uint32();
          at = r.pos;
          break;
        }
        case 40: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            pid = nsPid(byte);
            break;
          }
          r.pos = at;
          pid = nsPid(r.uint32());
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
    if (uid === undefined) return r.missing("fown_entry.uid");
    if (euid === undefined) return r.missing("fown_entry.euid");
    if (signum === undefined) return r.missing("fown_entry.signum");
    if (pid_type === undefined) return r.missing("fown_entry.pid_type");
    if (pid === undefined) return r.missing("fown_entry.pid");
    return { uid, euid, signum, pid_type, pid };
  },
};

/** Options every socket has. */
export interface SkOptsEntry {
  so_sndbuf: number;
  so_rcvbuf: number;
  so_snd_tmo_sec: bigint;
  so_snd_tmo_usec: bigint;
  so_rcv_tmo_sec: bigint;
  so_rcv_tmo_usec: bigint;
  reuseaddr?: boolean | undefined;
  so_priority?: number | undefined;
  so_rcvlowat?: number | undefined;
  so_mark?: number | undefined;
  so_passcred?: boolean | undefined;
  so_passsec?: boolean | undefined;
  so_dontroute?: boolean | undefined;
  so_no_check?: boolean | undefined;
  so_bound_dev?: string | undefined;
  /** struct sock_filter, one a word */
  so_filter: bigint[];
  so_reuseport?: boolean | undefined;
  so_broadcast?: boolean | undefined;
  so_keepalive?: boolean | undefined;
  /** 20 to 22: old images; tcp_opts_entry has them now. */
  tcp_keepcnt?: number | undefined;
  tcp_keepidle?: number | undefined;
  tcp_keepintvl?: number | undefined;
  so_oobinline?: number | undefined;
  so_linger?: number | undefined;
  so_buf_lock?: number | undefined;
  /** Ours: whoever made the socket, where that was not root, and options that have no field above, in the order to set them. */
  so_uid?: number | undefined;
  so_gid?: number | undefined;
  others: SkOptionEntry[];
  /** what fstat(2) tells of it, if not 0777 */
  so_mode?: number | undefined;
}

export const SkOptsEntry: Codec<SkOptsEntry> = {
  name: "sk_opts_entry",
  write(w: Writer, m: SkOptsEntry): void {
    w.uint32(8, m.so_sndbuf, "sk_opts_entry.so_sndbuf");
    w.uint32(16, m.so_rcvbuf, "sk_opts_entry.so_rcvbuf");
    w.uint64(24, m.so_snd_tmo_sec, "sk_opts_entry.so_snd_tmo_sec");
    w.uint64(32, m.so_snd_tmo_usec, "sk_opts_entry.so_snd_tmo_usec");
    w.uint64(40, m.so_rcv_tmo_sec, "sk_opts_entry.so_rcv_tmo_sec");
    w.uint64(48, m.so_rcv_tmo_usec, "sk_opts_entry.so_rcv_tmo_usec");
    if (m.reuseaddr !== undefined) w.bool(56, m.reuseaddr, "sk_opts_entry.reuseaddr");
    if (m.so_priority !== undefined) w.uint32(64, m.so_priority, "sk_opts_entry.so_priority");
    if (m.so_rcvlowat !== undefined) w.uint32(72, m.so_rcvlowat, "sk_opts_entry.so_rcvlowat");
    if (m.so_mark !== undefined) w.uint32(80, m.so_mark, "sk_opts_entry.so_mark");
    if (m.so_passcred !== undefined) w.bool(88, m.so_passcred, "sk_opts_entry.so_passcred");
    if (m.so_passsec !== undefined) w.bool(96, m.so_passsec, "sk_opts_entry.so_passsec");
    if (m.so_dontroute !== undefined) w.bool(104, m.so_dontroute, "sk_opts_entry.so_dontroute");
    if (m.so_no_check !== undefined) w.bool(112, m.so_no_check, "sk_opts_entry.so_no_check");
    if (m.so_bound_dev !== undefined) w.string(122, m.so_bound_dev, "sk_opts_entry.so_bound_dev");
    for (const v of m.so_filter) w.fixed64(129, v, "sk_opts_entry.so_filter");
    if (m.so_reuseport !== undefined) w.bool(136, m.so_reuseport, "sk_opts_entry.so_reuseport");
    if (m.so_broadcast !== undefined) w.bool(144, m.so_broadcast, "sk_opts_entry.so_broadcast");
    if (m.so_keepalive !== undefined) w.bool(152, m.so_keepalive, "sk_opts_entry.so_keepalive");
    if (m.tcp_keepcnt !== undefined) w.uint32(160, m.tcp_keepcnt, "sk_opts_entry.tcp_keepcnt");
    if (m.tcp_keepidle !== undefined) w.uint32(168, m.tcp_keepidle, "sk_opts_entry.tcp_keepidle");
    if (m.tcp_keepintvl !== undefined) w.uint32(176, m.tcp_keepintvl, "sk_opts_entry.tcp_keepintvl");
    if (m.so_oobinline !== undefined) w.uint32(184, m.so_oobinline, "sk_opts_entry.so_oobinline");
    if (m.so_linger !== undefined) w.uint32(192, m.so_linger, "sk_opts_entry.so_linger");
    if (m.so_buf_lock !== undefined) w.uint32(200, m.so_buf_lock, "sk_opts_entry.so_buf_lock");
    if (m.so_uid !== undefined) w.uint32(8000, m.so_uid, "sk_opts_entry.so_uid");
    if (m.so_gid !== undefined) w.uint32(8008, m.so_gid, "sk_opts_entry.so_gid");
    for (const v of m.others) w.message(8018, SkOptionEntry, v, "sk_opts_entry.others");
    if (m.so_mode !== undefined) w.uint32(8024, m.so_mode, "sk_opts_entry.so_mode");
  },
  read(r: Reader): SkOptsEntry {
    let so_sndbuf: number | undefined;
    let so_rcvbuf: number | undefined;
    let so_snd_tmo_sec: bigint | undefined;
    let so_snd_tmo_usec: bigint | undefined;
    let so_rcv_tmo_sec: bigint | undefined;
    let so_rcv_tmo_usec: bigint | undefined;
    let reuseaddr: boolean | undefined;
    let so_priority: number | undefined;
    let so_rcvlowat: number | undefined;
    let so_mark: number | undefined;
    let so_passcred: boolean | undefined;
    let so_passsec: boolean | undefined;
    let so_dontroute: boolean | undefined;
    let so_no_check: boolean | undefined;
    let so_bound_dev: string | undefined;
    const so_filter: bigint[] = [];
    let so_reuseport: boolean | undefined;
    let so_broadcast: boolean | undefined;
    let so_keepalive: boolean | undefined;
    let tcp_keepcnt: number | undefined;
    let tcp_keepidle: number | undefined;
    let tcp_keepintvl: number | undefined;
    let so_oobinline: number | undefined;
    let so_linger: number | undefined;
    let so_buf_lock: number | undefined;
    let so_uid: number | undefined;
    let so_gid: number | undefined;
    const others: SkOptionEntry[] = [];
    let so_mode: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          so_sndbuf = r.uint32();
          break;
        case 16:
          so_rcvbuf = r.uint32();
          break;
        case 24:
          so_snd_tmo_sec = r.uint64();
          break;
        case 32:
          so_snd_tmo_usec = r.uint64();
          break;
        case 40:
          so_rcv_tmo_sec = r.uint64();
          break;
        case 48:
          so_rcv_tmo_usec = r.uint64();
          break;
        case 56:
          reuseaddr = r.bool();
          break;
        case 64:
          so_priority = r.uint32();
          break;
        case 72:
          so_rcvlowat = r.uint32();
          break;
        case 80:
          so_mark = r.uint32();
          break;
        case 88:
          so_passcred = r.bool();
          break;
        case 96:
          so_passsec = r.bool();
          break;
        case 104:
          so_dontroute = r.bool();
          break;
        case 112:
          so_no_check = r.bool();
          break;
        case 122:
          so_bound_dev = r.string();
          break;
        case 129:
          so_filter.push(r.fixed64());
          break;
        case 130:
          r.packed(so_filter, r.fixed64);
          break;
        case 136:
          so_reuseport = r.bool();
          break;
        case 144:
          so_broadcast = r.bool();
          break;
        case 152:
          so_keepalive = r.bool();
          break;
        case 160:
          tcp_keepcnt = r.uint32();
          break;
        case 168:
          tcp_keepidle = r.uint32();
          break;
        case 176:
          tcp_keepintvl = r.uint32();
          break;
        case 184:
          so_oobinline = r.uint32();
          break;
        case 192:
          so_linger = r.uint32();
          break;
        case 200:
          so_buf_lock = r.uint32();
          break;
        case 8000:
          so_uid = r.uint32();
          break;
        case 8008:
          so_gid = r.uint32();
          break;
        case 8018:
          others.push(r.message(SkOptionEntry));
          break;
        case 8024:
          so_mode = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (so_sndbuf === undefined) return r.missing("sk_opts_entry.so_sndbuf");
    if (so_rcvbuf === undefined) return r.missing("sk_opts_entry.so_rcvbuf");
    if (so_snd_tmo_sec === undefined) return r.missing("sk_opts_entry.so_snd_tmo_sec");
    if (so_snd_tmo_usec === undefined) return r.missing("sk_opts_entry.so_snd_tmo_usec");
    if (so_rcv_tmo_sec === undefined) return r.missing("sk_opts_entry.so_rcv_tmo_sec");
    if (so_rcv_tmo_usec === undefined) return r.missing("sk_opts_entry.so_rcv_tmo_usec");
    return { so_sndbuf, so_rcvbuf, so_snd_tmo_sec, so_snd_tmo_usec, so_rcv_tmo_sec, so_rcv_tmo_usec, reuseaddr, so_priority, so_rcvlowat, so_mark, so_passcred, so_passsec, so_dontroute, so_no_check, so_bound_dev, so_filter, so_reuseport, so_broadcast, so_keepalive, tcp_keepcnt, tcp_keepidle, tcp_keepintvl, so_oobinline, so_linger, so_buf_lock, so_uid, so_gid, others, so_mode };
  },
};

/** As setsockopt(2) takes it. */
export interface SkOptionEntry {
  level: number;
  name: number;
  value: Uint8Array;
}

export const SkOptionEntry: Codec<SkOptionEntry> = {
  name: "sk_option_entry",
  write(w: Writer, m: SkOptionEntry): void {
    w.uint32(8, m.level, "sk_option_entry.level");
    w.uint32(16, m.name, "sk_option_entry.name");
    w.bytes(26, m.value, "sk_option_entry.value");
  },
  read(r: Reader): SkOptionEntry {
    let level: number | undefined;
    let name: number | undefined;
    let value: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          level = r.uint32();
          break;
        case 16:
          name = r.uint32();
          break;
        case 26:
          value = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (level === undefined) return r.missing("sk_option_entry.level");
    if (name === undefined) return r.missing("sk_option_entry.name");
    if (value === undefined) return r.missing("sk_option_entry.value");
    return { level, name, value };
  },
};

export const SkShutdown = {
  NONE: 0,
  READ: 1,
  WRITE: 2,
  BOTH: 3,
} as const;
export type SkShutdown = (typeof SkShutdown)[keyof typeof SkShutdown];
export function isSkShutdown(value: number): value is SkShutdown {
  return (value >= 0 && value <= 3);
}

export interface InetSkEntry {
  /** of the open file description */
  id: number;
  /** names tcp-stream-INO.img */
  ino: number;
  family: number;
  type: number;
  proto: number;
  state: number;
  src_port: number;
  dst_port: number;
  flags: number;
  backlog: number;
  src_addr: number[];
  dst_addr: number[];
  fown: FownEntry;
  opts: SkOptsEntry;
  v6only?: boolean | undefined;
  ip_opts?: IpOptsEntry | undefined;
  /** scope of a link-local IPv6 address */
  ifname?: string | undefined;
  ns_id?: number | undefined;
  shutdown?: SkShutdown | undefined;
  tcp_opts?: TcpOptsEntry | undefined;
  /** Ours: the error that the next call will meet, and groups that the socket is a member of. */
  error?: number | undefined;
  members: SkMemberEntry[];
  /** that wait to be read */
  datagrams: SkDatagramEntry[];
}

export const InetSkEntry: Codec<InetSkEntry> = {
  name: "inet_sk_entry",
  write(w: Writer, m: InetSkEntry): void {
    w.uint32(8, m.id, "inet_sk_entry.id");
    w.uint32(16, m.ino, "inet_sk_entry.ino");
    w.uint32(24, m.family, "inet_sk_entry.family");
    w.uint32(32, m.type, "inet_sk_entry.type");
    w.uint32(40, m.proto, "inet_sk_entry.proto");
    w.uint32(48, m.state, "inet_sk_entry.state");
    w.uint32(56, m.src_port, "inet_sk_entry.src_port");
    w.uint32(64, m.dst_port, "inet_sk_entry.dst_port");
    w.uint32(72, m.flags, "inet_sk_entry.flags");
    w.uint32(80, m.backlog, "inet_sk_entry.backlog");
    w.uint32s(88, m.src_addr, "inet_sk_entry.src_addr");
    w.uint32s(96, m.dst_addr, "inet_sk_entry.dst_addr");
    w.message(106, FownEntry, m.fown, "inet_sk_entry.fown");
    w.message(114, SkOptsEntry, m.opts, "inet_sk_entry.opts");
    if (m.v6only !== undefined) w.bool(120, m.v6only, "inet_sk_entry.v6only");
    if (m.ip_opts !== undefined) w.message(130, IpOptsEntry, m.ip_opts, "inet_sk_entry.ip_opts");
    if (m.ifname !== undefined) w.string(138, m.ifname, "inet_sk_entry.ifname");
    if (m.ns_id !== undefined) w.uint32(144, m.ns_id, "inet_sk_entry.ns_id");
    if (m.shutdown !== undefined) w.int32(152, m.shutdown, "inet_sk_entry.shutdown");
    if (m.tcp_opts !== undefined) w.message(162, TcpOptsEntry, m.tcp_opts, "inet_sk_entry.tcp_opts");
    if (m.error !== undefined) w.uint32(8000, m.error, "inet_sk_entry.error");
    for (const v of m.members) w.message(8010, SkMemberEntry, v, "inet_sk_entry.members");
    for (const v of m.datagrams) w.message(8018, SkDatagramEntry, v, "inet_sk_entry.datagrams");
  },
  read(r: Reader): InetSkEntry {
    let id: number | undefined;
    let ino: number | undefined;
    let family: number | undefined;
    let type: number | undefined;
    let proto: number | undefined;
    let state: number | undefined;
    let src_port: number | undefined;
    let dst_port: number | undefined;
    let flags: number | undefined;
    let backlog: number | undefined;
    const src_addr: number[] = [];
    const dst_addr: number[] = [];
    let fown: FownEntry | undefined;
    let opts: SkOptsEntry | undefined;
    let v6only: boolean | undefined;
    let ip_opts: IpOptsEntry | undefined;
    let ifname: string | undefined;
    let ns_id: number | undefined;
    let shutdown: SkShutdown | undefined;
    let tcp_opts: TcpOptsEntry | undefined;
    let error: number | undefined;
    const members: SkMemberEntry[] = [];
    const datagrams: SkDatagramEntry[] = [];
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
          family = r.uint32();
          break;
        case 32:
          type = r.uint32();
          break;
        case 40:
          proto = r.uint32();
          break;
        case 48:
          state = r.uint32();
          break;
        case 56:
          src_port = r.uint32();
          break;
        case 64:
          dst_port = r.uint32();
          break;
        case 72:
          flags = r.uint32();
          break;
        case 80:
          backlog = r.uint32();
          break;
        case 88:
          src_addr.push(r.uint32());
          break;
        case 90:
          r.packed(src_addr, r.uint32);
          break;
        case 96:
          dst_addr.push(r.uint32());
          break;
        case 98:
          r.packed(dst_addr, r.uint32);
          break;
        case 106:
          fown = r.message(FownEntry);
          break;
        case 114:
          opts = r.message(SkOptsEntry);
          break;
        case 120:
          v6only = r.bool();
          break;
        case 130:
          ip_opts = r.message(IpOptsEntry);
          break;
        case 138:
          ifname = r.string();
          break;
        case 144:
          ns_id = r.uint32();
          break;
        case 152:
          shutdown = r.enumeration(isSkShutdown, "inet_sk_entry.shutdown");
          break;
        case 162:
          tcp_opts = r.message(TcpOptsEntry);
          break;
        case 8000:
          error = r.uint32();
          break;
        case 8010:
          members.push(r.message(SkMemberEntry));
          break;
        case 8018:
          datagrams.push(r.message(SkDatagramEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("inet_sk_entry.id");
    if (ino === undefined) return r.missing("inet_sk_entry.ino");
    if (family === undefined) return r.missing("inet_sk_entry.family");
    if (type === undefined) return r.missing("inet_sk_entry.type");
    if (proto === undefined) return r.missing("inet_sk_entry.proto");
    if (state === undefined) return r.missing("inet_sk_entry.state");
    if (src_port === undefined) return r.missing("inet_sk_entry.src_port");
    if (dst_port === undefined) return r.missing("inet_sk_entry.dst_port");
    if (flags === undefined) return r.missing("inet_sk_entry.flags");
    if (backlog === undefined) return r.missing("inet_sk_entry.backlog");
    if (fown === undefined) return r.missing("inet_sk_entry.fown");
    if (opts === undefined) return r.missing("inet_sk_entry.opts");
    return { id, ino, family, type, proto, state, src_port, dst_port, flags, backlog, src_addr, dst_addr, fown, opts, v6only, ip_opts, ifname, ns_id, shutdown, tcp_opts, error, members, datagrams };
  },
};

export interface SkDatagramEntry {
  /** struct sockaddr_in, sockaddr_in6 */
  from: Uint8Array;
  data: Uint8Array;
}

export const SkDatagramEntry: Codec<SkDatagramEntry> = {
  name: "sk_datagram_entry",
  write(w: Writer, m: SkDatagramEntry): void {
    w.bytes(10, m.from, "sk_datagram_entry.from");
    w.bytes(18, m.data, "sk_datagram_entry.data");
  },
  read(r: Reader): SkDatagramEntry {
    let from: Uint8Array | undefined;
    let data_: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          from = r.bytes();
          break;
        case 18:
          data_ = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (from === undefined) return r.missing("sk_datagram_entry.from");
    if (data_ === undefined) return r.missing("sk_datagram_entry.data");
    return { from, data: data_ };
  },
};

/** A group of multicast, and from whom its datagrams are taken. */
export interface SkMemberEntry {
  ifname: string;
  group: Uint8Array;
  /** 0: from all but the sources; 1: from the sources alone */
  mode: number;
  sources: Uint8Array[];
}

export const SkMemberEntry: Codec<SkMemberEntry> = {
  name: "sk_member_entry",
  write(w: Writer, m: SkMemberEntry): void {
    w.string(10, m.ifname, "sk_member_entry.ifname");
    w.bytes(18, m.group, "sk_member_entry.group");
    w.uint32(24, m.mode, "sk_member_entry.mode");
    for (const v of m.sources) w.bytes(34, v, "sk_member_entry.sources");
  },
  read(r: Reader): SkMemberEntry {
    let ifname: string | undefined;
    let group: Uint8Array | undefined;
    let mode: number | undefined;
    const sources: Uint8Array[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          ifname = r.string();
          break;
        case 18:
          group = r.bytes();
          break;
        case 24:
          mode = r.uint32();
          break;
        case 34:
          sources.push(r.bytes());
          break;
        default:
          r.skip(tag);
      }
    }
    if (ifname === undefined) return r.missing("sk_member_entry.ifname");
    if (group === undefined) return r.missing("sk_member_entry.group");
    if (mode === undefined) return r.missing("sk_member_entry.mode");
    return { ifname, group, mode, sources };
  },
};

export interface IpOptsEntry {
  freebind?: boolean | undefined;
  raw?: IpOptsRawEntry | undefined;
  pktinfo?: boolean | undefined;
  tos?: number | undefined;
  ttl?: number | undefined;
}

export const IpOptsEntry: Codec<IpOptsEntry> = {
  name: "ip_opts_entry",
  write(w: Writer, m: IpOptsEntry): void {
    if (m.freebind !== undefined) w.bool(8, m.freebind, "ip_opts_entry.freebind");
    if (m.raw !== undefined) w.message(34, IpOptsRawEntry, m.raw, "ip_opts_entry.raw");
    if (m.pktinfo !== undefined) w.bool(40, m.pktinfo, "ip_opts_entry.pktinfo");
    if (m.tos !== undefined) w.uint32(48, m.tos, "ip_opts_entry.tos");
    if (m.ttl !== undefined) w.uint32(56, m.ttl, "ip_opts_entry.ttl");
  },
  read(r: Reader): IpOptsEntry {
    let freebind: boolean | undefined;
    let raw: IpOptsRawEntry | undefined;
    let pktinfo: boolean | undefined;
    let tos: number | undefined;
    let ttl: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          freebind = r.bool();
          break;
        case 34:
          raw = r.message(IpOptsRawEntry);
          break;
        case 40:
          pktinfo = r.bool();
          break;
        case 48:
          tos = r.uint32();
          break;
        case 56:
          ttl = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    return { freebind, raw, pktinfo, tos, ttl };
  },
};

export interface IpOptsRawEntry {
  hdrincl?: boolean | undefined;
  nodefrag?: boolean | undefined;
  checksum?: boolean | undefined;
  icmpv_filter: number[];
}

export const IpOptsRawEntry: Codec<IpOptsRawEntry> = {
  name: "ip_opts_raw_entry",
  write(w: Writer, m: IpOptsRawEntry): void {
    if (m.hdrincl !== undefined) w.bool(8, m.hdrincl, "ip_opts_raw_entry.hdrincl");
    if (m.nodefrag !== undefined) w.bool(16, m.nodefrag, "ip_opts_raw_entry.nodefrag");
    if (m.checksum !== undefined) w.bool(24, m.checksum, "ip_opts_raw_entry.checksum");
    w.uint32s(32, m.icmpv_filter, "ip_opts_raw_entry.icmpv_filter");
  },
  read(r: Reader): IpOptsRawEntry {
    let hdrincl: boolean | undefined;
    let nodefrag: boolean | undefined;
    let checksum: boolean | undefined;
    const icmpv_filter: number[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          hdrincl = r.bool();
          break;
        case 16:
          nodefrag = r.bool();
          break;
        case 24:
          checksum = r.bool();
          break;
        case 32:
          icmpv_filter.push(r.uint32());
          break;
        case 34:
          r.packed(icmpv_filter, r.uint32);
          break;
        default:
          r.skip(tag);
      }
    }
    return { hdrincl, nodefrag, checksum, icmpv_filter };
  },
};

export interface TcpOptsEntry {
  cork?: boolean | undefined;
  nodelay?: boolean | undefined;
  keepcnt?: number | undefined;
  keepidle?: number | undefined;
  keepintvl?: number | undefined;
}

export const TcpOptsEntry: Codec<TcpOptsEntry> = {
  name: "tcp_opts_entry",
  write(w: Writer, m: TcpOptsEntry): void {
    if (m.cork !== undefined) w.bool(8, m.cork, "tcp_opts_entry.cork");
    if (m.nodelay !== undefined) w.bool(16, m.nodelay, "tcp_opts_entry.nodelay");
    if (m.keepcnt !== undefined) w.uint32(24, m.keepcnt, "tcp_opts_entry.keepcnt");
    if (m.keepidle !== undefined) w.uint32(32, m.keepidle, "tcp_opts_entry.keepidle");
    if (m.keepintvl !== undefined) w.uint32(40, m.keepintvl, "tcp_opts_entry.keepintvl");
  },
  read(r: Reader): TcpOptsEntry {
    let cork: boolean | undefined;
    let nodelay: boolean | undefined;
    let keepcnt: number | undefined;
    let keepidle: number | undefined;
    let keepintvl: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          cork = r.bool();
          break;
        case 16:
          nodelay = r.bool();
          break;
        case 24:
          keepcnt = r.uint32();
          break;
        case 32:
          keepidle = r.uint32();
          break;
        case 40:
          keepintvl = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    return { cork, nodelay, keepcnt, keepidle, keepintvl };
  },
};

/** tcp-stream-INO.img; inq_len bytes of the receive queue, then outq_len of the send queue follow. */
export interface TcpStreamEntry {
  inq_len: number;
  inq_seq: number;
  /** sent and unsent */
  outq_len: number;
  outq_seq: number;
  /** TCPI_OPT_* */
  opt_mask: number;
  snd_wscale: number;
  mss_clamp: number;
  rcv_wscale?: number | undefined;
  timestamp?: number | undefined;
  /** old images; tcp_opts_entry has it now */
  cork?: boolean | undefined;
  /** old images; tcp_opts_entry has it now */
  nodelay?: boolean | undefined;
  unsq_len?: number | undefined;
  snd_wl1?: number | undefined;
  snd_wnd?: number | undefined;
  max_window?: number | undefined;
  rcv_wnd?: number | undefined;
  rcv_wup?: number | undefined;
  /** Where the urgent byte stands in the receive queue, and whether it has been read: 1 it waits, 2 it was read. */
  urgent_at?: number | undefined;
  urgent?: number | undefined;
}

export const TcpStreamEntry: Codec<TcpStreamEntry> = {
  name: "tcp_stream_entry",
  write(w: Writer, m: TcpStreamEntry): void {
    w.uint32(8, m.inq_len, "tcp_stream_entry.inq_len");
    w.uint32(16, m.inq_seq, "tcp_stream_entry.inq_seq");
    w.uint32(24, m.outq_len, "tcp_stream_entry.outq_len");
    w.uint32(32, m.outq_seq, "tcp_stream_entry.outq_seq");
    w.uint32(40, m.opt_mask, "tcp_stream_entry.opt_mask");
    w.uint32(48, m.snd_wscale, "tcp_stream_entry.snd_wscale");
    w.uint32(56, m.mss_clamp, "tcp_stream_entry.mss_clamp");
    if (m.rcv_wscale !== undefined) w.uint32(64, m.rcv_wscale, "tcp_stream_entry.rcv_wscale");
    if (m.timestamp !== undefined) w.uint32(72, m.timestamp, "tcp_stream_entry.timestamp");
    if (m.cork !== undefined) w.bool(80, m.cork, "tcp_stream_entry.cork");
    if (m.nodelay !== undefined) w.bool(88, m.nodelay, "tcp_stream_entry.nodelay");
    if (m.unsq_len !== undefined) w.uint32(96, m.unsq_len, "tcp_stream_entry.unsq_len");
    if (m.snd_wl1 !== undefined) w.uint32(104, m.snd_wl1, "tcp_stream_entry.snd_wl1");
    if (m.snd_wnd !== undefined) w.uint32(112, m.snd_wnd, "tcp_stream_entry.snd_wnd");
    if (m.max_window !== undefined) w.uint32(120, m.max_window, "tcp_stream_entry.max_window");
    if (m.rcv_wnd !== undefined) w.uint32(128, m.rcv_wnd, "tcp_stream_entry.rcv_wnd");
    if (m.rcv_wup !== undefined) w.uint32(136, m.rcv_wup, "tcp_stream_entry.rcv_wup");
    if (m.urgent_at !== undefined) w.uint32(8000, m.urgent_at, "tcp_stream_entry.urgent_at");
    if (m.urgent !== undefined) w.uint32(8008, m.urgent, "tcp_stream_entry.urgent");
  },
  read(r: Reader): TcpStreamEntry {
    let inq_len: number | undefined;
    let inq_seq: number | undefined;
    let outq_len: number | undefined;
    let outq_seq: number | undefined;
    let opt_mask: number | undefined;
    let snd_wscale: number | undefined;
    let mss_clamp: number | undefined;
    let rcv_wscale: number | undefined;
    let timestamp: number | undefined;
    let cork: boolean | undefined;
    let nodelay: boolean | undefined;
    let unsq_len: number | undefined;
    let snd_wl1: number | undefined;
    let snd_wnd: number | undefined;
    let max_window: number | undefined;
    let rcv_wnd: number | undefined;
    let rcv_wup: number | undefined;
    let urgent_at: number | undefined;
    let urgent: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          inq_len = r.uint32();
          break;
        case 16:
          inq_seq = r.uint32();
          break;
        case 24:
          outq_len = r.uint32();
          break;
        case 32:
          outq_seq = r.uint32();
          break;
        case 40:
          opt_mask = r.uint32();
          break;
        case 48:
          snd_wscale = r.uint32();
          break;
        case 56:
          mss_clamp = r.uint32();
          break;
        case 64:
          rcv_wscale = r.uint32();
          break;
        case 72:
          timestamp = r.uint32();
          break;
        case 80:
          cork = r.bool();
          break;
        case 88:
          nodelay = r.bool();
          break;
        case 96:
          unsq_len = r.uint32();
          break;
        case 104:
          snd_wl1 = r.uint32();
          break;
        case 112:
          snd_wnd = r.uint32();
          break;
        case 120:
          max_window = r.uint32();
          break;
        case 128:
          rcv_wnd = r.uint32();
          break;
        case 136:
          rcv_wup = r.uint32();
          break;
        case 8000:
          urgent_at = r.uint32();
          break;
        case 8008:
          urgent = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (inq_len === undefined) return r.missing("tcp_stream_entry.inq_len");
    if (inq_seq === undefined) return r.missing("tcp_stream_entry.inq_seq");
    if (outq_len === undefined) return r.missing("tcp_stream_entry.outq_len");
    if (outq_seq === undefined) return r.missing("tcp_stream_entry.outq_seq");
    if (opt_mask === undefined) return r.missing("tcp_stream_entry.opt_mask");
    if (snd_wscale === undefined) return r.missing("tcp_stream_entry.snd_wscale");
    if (mss_clamp === undefined) return r.missing("tcp_stream_entry.mss_clamp");
    return { inq_len, inq_seq, outq_len, outq_seq, opt_mask, snd_wscale, mss_clamp, rcv_wscale, timestamp, cork, nodelay, unsq_len, snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup, urgent_at, urgent };
  },
};

export interface UnixSkEntry {
  /** of the open file description */
  id: number;
  /** other sockets' `peer` names it */
  ino: number;
  type: number;
  state: number;
  flags: number;
  uflags: number;
  backlog: number;
  peer: number;
  fown: FownEntry;
  opts: SkOptsEntry;
  /** an abstract name may have any byte in it */
  name: Uint8Array;
  shutdown?: SkShutdown | undefined;
  file_perms?: FilePermsEntry | undefined;
  /** where a relative name starts */
  name_dir?: string | undefined;
  deleted?: boolean | undefined;
  ns_id?: number | undefined;
  mnt_id?: number | undefined;
  /** Who made the connection, or began to listen, on the other side: what SO_PEERCRED and SO_PEERGROUPS tell. */
  peer_cred?: SkUcredEntry | undefined;
  peer_groups: number[];
  /** it is still connected, to a socket of this name that is closed; may be empty */
  peer_name?: Uint8Array | undefined;
  /** inodes of those that wait to be accepted, first come first */
  waiting: number[];
  /** the errno that it has not told yet */
  error?: number | undefined;
  /** where the socket file stands, if not at its name */
  path?: string | undefined;
}

export const UnixSkEntry: Codec<UnixSkEntry> = {
  name: "unix_sk_entry",
  write(w: Writer, m: UnixSkEntry): void {
    w.uint32(8, m.id, "unix_sk_entry.id");
    w.uint32(16, m.ino, "unix_sk_entry.ino");
    w.uint32(24, m.type, "unix_sk_entry.type");
    w.uint32(32, m.state, "unix_sk_entry.state");
    w.uint32(40, m.flags, "unix_sk_entry.flags");
    w.uint32(48, m.uflags, "unix_sk_entry.uflags");
    w.uint32(56, m.backlog, "unix_sk_entry.backlog");
    w.uint32(64, m.peer, "unix_sk_entry.peer");
    w.message(74, FownEntry, m.fown, "unix_sk_entry.fown");
    w.message(82, SkOptsEntry, m.opts, "unix_sk_entry.opts");
    w.bytes(90, m.name, "unix_sk_entry.name");
    if (m.shutdown !== undefined) w.int32(96, m.shutdown, "unix_sk_entry.shutdown");
    if (m.file_perms !== undefined) w.message(106, FilePermsEntry, m.file_perms, "unix_sk_entry.file_perms");
    if (m.name_dir !== undefined) w.string(114, m.name_dir, "unix_sk_entry.name_dir");
    if (m.deleted !== undefined) w.bool(120, m.deleted, "unix_sk_entry.deleted");
    if (m.ns_id !== undefined) w.uint32(128, m.ns_id, "unix_sk_entry.ns_id");
    if (m.mnt_id !== undefined) w.sint32(136, m.mnt_id, "unix_sk_entry.mnt_id");
    if (m.peer_cred !== undefined) w.message(8002, SkUcredEntry, m.peer_cred, "unix_sk_entry.peer_cred");
    w.uint32s(8008, m.peer_groups, "unix_sk_entry.peer_groups");
    if (m.peer_name !== undefined) w.bytes(8018, m.peer_name, "unix_sk_entry.peer_name");
    w.uint32s(8024, m.waiting, "unix_sk_entry.waiting");
    if (m.error !== undefined) w.uint32(8032, m.error, "unix_sk_entry.error");
    if (m.path !== undefined) w.string(8050, m.path, "unix_sk_entry.path");
  },
  read(r: Reader): UnixSkEntry {
    let id: number | undefined;
    let ino: number | undefined;
    let type: number | undefined;
    let state: number | undefined;
    let flags: number | undefined;
    let uflags: number | undefined;
    let backlog: number | undefined;
    let peer: number | undefined;
    let fown: FownEntry | undefined;
    let opts: SkOptsEntry | undefined;
    let name: Uint8Array | undefined;
    let shutdown: SkShutdown | undefined;
    let file_perms: FilePermsEntry | undefined;
    let name_dir: string | undefined;
    let deleted: boolean | undefined;
    let ns_id: number | undefined;
    let mnt_id: number | undefined;
    let peer_cred: SkUcredEntry | undefined;
    const peer_groups: number[] = [];
    let peer_name: Uint8Array | undefined;
    const waiting: number[] = [];
    let error: number | undefined;
    let path: string | undefined;
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
          type = r.uint32();
          break;
        case 32:
          state = r.uint32();
          break;
        case 40:
          flags = r.uint32();
          break;
        case 48:
          uflags = r.uint32();
          break;
        case 56:
          backlog = r.uint32();
          break;
        case 64:
          peer = r.uint32();
          break;
        case 74:
          fown = r.message(FownEntry);
          break;
        case 82:
          opts = r.message(SkOptsEntry);
          break;
        case 90:
          name = r.bytes();
          break;
        case 96:
          shutdown = r.enumeration(isSkShutdown, "unix_sk_entry.shutdown");
          break;
        case 106:
          file_perms = r.message(FilePermsEntry);
          break;
        case 114:
          name_dir = r.string();
          break;
        case 120:
          deleted = r.bool();
          break;
        case 128:
          ns_id = r.uint32();
          break;
        case 136:
          mnt_id = r.sint32();
          break;
        case 8002:
          peer_cred = r.message(SkUcredEntry);
          break;
        case 8008:
          peer_groups.push(r.uint32());
          break;
        case 8010:
          r.packed(peer_groups, r.uint32);
          break;
        case 8018:
          peer_name = r.bytes();
          break;
        case 8024:
          waiting.push(r.uint32());
          break;
        case 8026:
          r.packed(waiting, r.uint32);
          break;
        case 8032:
          error = r.uint32();
          break;
        case 8050:
          path = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("unix_sk_entry.id");
    if (ino === undefined) return r.missing("unix_sk_entry.ino");
    if (type === undefined) return r.missing("unix_sk_entry.type");
    if (state === undefined) return r.missing("unix_sk_entry.state");
    if (flags === undefined) return r.missing("unix_sk_entry.flags");
    if (uflags === undefined) return r.missing("unix_sk_entry.uflags");
    if (backlog === undefined) return r.missing("unix_sk_entry.backlog");
    if (peer === undefined) return r.missing("unix_sk_entry.peer");
    if (fown === undefined) return r.missing("unix_sk_entry.fown");
    if (opts === undefined) return r.missing("unix_sk_entry.opts");
    if (name === undefined) return r.missing("unix_sk_entry.name");
    return { id, ino, type, state, flags, uflags, backlog, peer, fown, opts, name, shutdown, file_perms, name_dir, deleted, ns_id, mnt_id, peer_cred, peer_groups, peer_name, waiting, error, path };
  },
};

export interface FilePermsEntry {
  mode: number;
  uid: number;
  gid: number;
}

export const FilePermsEntry: Codec<FilePermsEntry> = {
  name: "file_perms_entry",
  write(w: Writer, m: FilePermsEntry): void {
    w.uint32(8, m.mode, "file_perms_entry.mode");
    w.uint32(16, m.uid, "file_perms_entry.uid");
    w.uint32(24, m.gid, "file_perms_entry.gid");
  },
  read(r: Reader): FilePermsEntry {
    let mode: number | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mode = r.uint32();
          break;
        case 16:
          uid = r.uint32();
          break;
        case 24:
          gid = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mode === undefined) return r.missing("file_perms_entry.mode");
    if (uid === undefined) return r.missing("file_perms_entry.uid");
    if (gid === undefined) return r.missing("file_perms_entry.gid");
    return { mode, uid, gid };
  },
};

/** sk-queues.img; `length` bytes follow each entry, one entry for each packet. */
export interface SkPacketEntry {
  /** the socket's id */
  id_for: number;
  length: number;
  scm: ScmEntry[];
  /** CRIU 4.3: of the sender */
  ucred?: SkUcredEntry | undefined;
  /** the name of the sender of a datagram */
  from?: Uint8Array | undefined;
  /** 1: its one byte is urgent data; 2: it has none, but urgent data that was read stood here */
  urgent?: number | undefined;
}

export const SkPacketEntry: Codec<SkPacketEntry> = {
  name: "sk_packet_entry",
  write(w: Writer, m: SkPacketEntry): void {
    w.uint32(8, m.id_for, "sk_packet_entry.id_for");
    w.uint32(16, m.length, "sk_packet_entry.length");
    for (const v of m.scm) w.message(34, ScmEntry, v, "sk_packet_entry.scm");
    if (m.ucred !== undefined) w.message(1026, SkUcredEntry, m.ucred, "sk_packet_entry.ucred");
    if (m.from !== undefined) w.bytes(8002, m.from, "sk_packet_entry.from");
    if (m.urgent !== undefined) w.uint32(8008, m.urgent, "sk_packet_entry.urgent");
  },
  read(r: Reader): SkPacketEntry {
    let id_for: number | undefined;
    let length: number | undefined;
    const scm: ScmEntry[] = [];
    let ucred: SkUcredEntry | undefined;
    let from: Uint8Array | undefined;
    let urgent: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id_for = r.uint32();
          break;
        case 16:
          length = r.uint32();
          break;
        case 34:
          scm.push(r.message(ScmEntry));
          break;
        case 1026:
          ucred = r.message(SkUcredEntry);
          break;
        case 8002:
          from = r.bytes();
          break;
        case 8008:
          urgent = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id_for === undefined) return r.missing("sk_packet_entry.id_for");
    if (length === undefined) return r.missing("sk_packet_entry.length");
    return { id_for, length, scm, ucred, from, urgent };
  },
};

export interface SkUcredEntry {
  uid: number;
  gid: number;
  pid: NsPid;
}

export const SkUcredEntry: Codec<SkUcredEntry> = {
  name: "sk_ucred_entry",
  write(w: Writer, m: SkUcredEntry): void {
    w.uint32(8, m.uid, "sk_ucred_entry.uid");
    w.uint32(16, m.gid, "sk_ucred_entry.gid");
    w.uint32(24, m.pid, "sk_ucred_entry.pid");
  },
  read(r: Reader): SkUcredEntry {
    let uid: number | undefined;
    let gid: number | undefined;
    let pid: NsPid | undefined;
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
          pid = nsPid(r.uint32());
          break;
        default:
          r.skip(tag);
      }
    }
    if (uid === undefined) return r.missing("sk_ucred_entry.uid");
    if (gid === undefined) return r.missing("sk_ucred_entry.gid");
    if (pid === undefined) return r.missing("sk_ucred_entry.pid");
    return { uid, gid, pid };
  },
};

export interface ScmEntry {
  type: number;
  /** ids in files.img */
  rights: number[];
}

export const ScmEntry: Codec<ScmEntry> = {
  name: "scm_entry",
  write(w: Writer, m: ScmEntry): void {
    w.uint32(8, m.type, "scm_entry.type");
    w.uint32s(16, m.rights, "scm_entry.rights");
  },
  read(r: Reader): ScmEntry {
    let type: number | undefined;
    const rights: number[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          type = r.uint32();
          break;
        case 16:
          rights.push(r.uint32());
          break;
        case 18:
          r.packed(rights, r.uint32);
          break;
        default:
          r.skip(tag);
      }
    }
    if (type === undefined) return r.missing("scm_entry.type");
    return { type, rights };
  },
};

export interface NetlinkSkEntry {
  id: number;
  ino: number;
  protocol: number;
  state: number;
  flags: number;
  portid: number;
  groups: number[];
  dst_portid: number;
  dst_group: number;
  fown: FownEntry;
  opts: SkOptsEntry;
  ns_id?: number | undefined;
  /** ours; CRIU makes all of them raw */
  type?: number | undefined;
}

export const NetlinkSkEntry: Codec<NetlinkSkEntry> = {
  name: "netlink_sk_entry",
  write(w: Writer, m: NetlinkSkEntry): void {
    w.uint32(8, m.id, "netlink_sk_entry.id");
    w.uint32(16, m.ino, "netlink_sk_entry.ino");
    w.uint32(24, m.protocol, "netlink_sk_entry.protocol");
    w.uint32(32, m.state, "netlink_sk_entry.state");
    w.uint32(48, m.flags, "netlink_sk_entry.flags");
    w.uint32(56, m.portid, "netlink_sk_entry.portid");
    w.uint32s(64, m.groups, "netlink_sk_entry.groups");
    w.uint32(72, m.dst_portid, "netlink_sk_entry.dst_portid");
    w.uint32(80, m.dst_group, "netlink_sk_entry.dst_group");
    w.message(90, FownEntry, m.fown, "netlink_sk_entry.fown");
    w.message(98, SkOptsEntry, m.opts, "netlink_sk_entry.opts");
    if (m.ns_id !== undefined) w.uint32(104, m.ns_id, "netlink_sk_entry.ns_id");
    if (m.type !== undefined) w.uint32(8000, m.type, "netlink_sk_entry.type");
  },
  read(r: Reader): NetlinkSkEntry {
    let id: number | undefined;
    let ino: number | undefined;
    let protocol: number | undefined;
    let state: number | undefined;
    let flags: number | undefined;
    let portid: number | undefined;
    const groups: number[] = [];
    let dst_portid: number | undefined;
    let dst_group: number | undefined;
    let fown: FownEntry | undefined;
    let opts: SkOptsEntry | undefined;
    let ns_id: number | undefined;
    let type: number | undefined;
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
          protocol = r.uint32();
          break;
        case 32:
          state = r.uint32();
          break;
        case 48:
          flags = r.uint32();
          break;
        case 56:
          portid = r.uint32();
          break;
        case 64:
          groups.push(r.uint32());
          break;
        case 66:
          r.packed(groups, r.uint32);
          break;
        case 72:
          dst_portid = r.uint32();
          break;
        case 80:
          dst_group = r.uint32();
          break;
        case 90:
          fown = r.message(FownEntry);
          break;
        case 98:
          opts = r.message(SkOptsEntry);
          break;
        case 104:
          ns_id = r.uint32();
          break;
        case 8000:
          type = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("netlink_sk_entry.id");
    if (ino === undefined) return r.missing("netlink_sk_entry.ino");
    if (protocol === undefined) return r.missing("netlink_sk_entry.protocol");
    if (state === undefined) return r.missing("netlink_sk_entry.state");
    if (flags === undefined) return r.missing("netlink_sk_entry.flags");
    if (portid === undefined) return r.missing("netlink_sk_entry.portid");
    if (dst_portid === undefined) return r.missing("netlink_sk_entry.dst_portid");
    if (dst_group === undefined) return r.missing("netlink_sk_entry.dst_group");
    if (fown === undefined) return r.missing("netlink_sk_entry.fown");
    if (opts === undefined) return r.missing("netlink_sk_entry.opts");
    return { id, ino, protocol, state, flags, portid, groups, dst_portid, dst_group, fown, opts, ns_id, type };
  },
};

export interface PacketSockEntry {
  id: number;
  type: number;
  protocol: number;
  flags: number;
  ifindex: number;
  fown: FownEntry;
  opts: SkOptsEntry;
  version: number;
  reserve: number;
  aux_data: boolean;
  orig_dev: boolean;
  vnet_hdr: boolean;
  loss: boolean;
  timestamp: number;
  copy_thresh: number;
  mclist: PacketMclist[];
  fanout?: number | undefined;
  rx_ring?: PacketRing | undefined;
  tx_ring?: PacketRing | undefined;
  ns_id?: number | undefined;
  /** index of the frame of the ring that the kernel fills next; not given: the first */
  rx_next?: number | undefined;
  /** those that the kernel has filled and nobody has taken yet */
  rx_frames: PacketFrame[];
}

export const PacketSockEntry: Codec<PacketSockEntry> = {
  name: "packet_sock_entry",
  write(w: Writer, m: PacketSockEntry): void {
    w.uint32(8, m.id, "packet_sock_entry.id");
    w.uint32(16, m.type, "packet_sock_entry.type");
    w.uint32(24, m.protocol, "packet_sock_entry.protocol");
    w.uint32(32, m.flags, "packet_sock_entry.flags");
    w.uint32(40, m.ifindex, "packet_sock_entry.ifindex");
    w.message(50, FownEntry, m.fown, "packet_sock_entry.fown");
    w.message(58, SkOptsEntry, m.opts, "packet_sock_entry.opts");
    w.uint32(64, m.version, "packet_sock_entry.version");
    w.uint32(72, m.reserve, "packet_sock_entry.reserve");
    w.bool(80, m.aux_data, "packet_sock_entry.aux_data");
    w.bool(88, m.orig_dev, "packet_sock_entry.orig_dev");
    w.bool(96, m.vnet_hdr, "packet_sock_entry.vnet_hdr");
    w.bool(104, m.loss, "packet_sock_entry.loss");
    w.uint32(112, m.timestamp, "packet_sock_entry.timestamp");
    w.uint32(120, m.copy_thresh, "packet_sock_entry.copy_thresh");
    for (const v of m.mclist) w.message(130, PacketMclist, v, "packet_sock_entry.mclist");
    if (m.fanout !== undefined) w.uint32(136, m.fanout, "packet_sock_entry.fanout");
    if (m.rx_ring !== undefined) w.message(146, PacketRing, m.rx_ring, "packet_sock_entry.rx_ring");
    if (m.tx_ring !== undefined) w.message(154, PacketRing, m.tx_ring, "packet_sock_entry.tx_ring");
    if (m.ns_id !== undefined) w.uint32(160, m.ns_id, "packet_sock_entry.ns_id");
    if (m.rx_next !== undefined) w.uint32(8000, m.rx_next, "packet_sock_entry.rx_next");
    for (const v of m.rx_frames) w.message(8010, PacketFrame, v, "packet_sock_entry.rx_frames");
  },
  read(r: Reader): PacketSockEntry {
    let id: number | undefined;
    let type: number | undefined;
    let protocol: number | undefined;
    let flags: number | undefined;
    let ifindex: number | undefined;
    let fown: FownEntry | undefined;
    let opts: SkOptsEntry | undefined;
    let version: number | undefined;
    let reserve: number | undefined;
    let aux_data: boolean | undefined;
    let orig_dev: boolean | undefined;
    let vnet_hdr: boolean | undefined;
    let loss: boolean | undefined;
    let timestamp: number | undefined;
    let copy_thresh: number | undefined;
    const mclist: PacketMclist[] = [];
    let fanout: number | undefined;
    let rx_ring: PacketRing | undefined;
    let tx_ring: PacketRing | undefined;
    let ns_id: number | undefined;
    let rx_next: number | undefined;
    const rx_frames: PacketFrame[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 16:
          type = r.uint32();
          break;
        case 24:
          protocol = r.uint32();
          break;
        case 32:
          flags = r.uint32();
          break;
        case 40:
          ifindex = r.uint32();
          break;
        case 50:
          fown = r.message(FownEntry);
          break;
        case 58:
          opts = r.message(SkOptsEntry);
          break;
        case 64:
          version = r.uint32();
          break;
        case 72:
          reserve = r.uint32();
          break;
        case 80:
          aux_data = r.bool();
          break;
        case 88:
          orig_dev = r.bool();
          break;
        case 96:
          vnet_hdr = r.bool();
          break;
        case 104:
          loss = r.bool();
          break;
        case 112:
          timestamp = r.uint32();
          break;
        case 120:
          copy_thresh = r.uint32();
          break;
        case 130:
          mclist.push(r.message(PacketMclist));
          break;
        case 136:
          fanout = r.uint32();
          break;
        case 146:
          rx_ring = r.message(PacketRing);
          break;
        case 154:
          tx_ring = r.message(PacketRing);
          break;
        case 160:
          ns_id = r.uint32();
          break;
        case 8000:
          rx_next = r.uint32();
          break;
        case 8010:
          rx_frames.push(r.message(PacketFrame));
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("packet_sock_entry.id");
    if (type === undefined) return r.missing("packet_sock_entry.type");
    if (protocol === undefined) return r.missing("packet_sock_entry.protocol");
    if (flags === undefined) return r.missing("packet_sock_entry.flags");
    if (ifindex === undefined) return r.missing("packet_sock_entry.ifindex");
    if (fown === undefined) return r.missing("packet_sock_entry.fown");
    if (opts === undefined) return r.missing("packet_sock_entry.opts");
    if (version === undefined) return r.missing("packet_sock_entry.version");
    if (reserve === undefined) return r.missing("packet_sock_entry.reserve");
    if (aux_data === undefined) return r.missing("packet_sock_entry.aux_data");
    if (orig_dev === undefined) return r.missing("packet_sock_entry.orig_dev");
    if (vnet_hdr === undefined) return r.missing("packet_sock_entry.vnet_hdr");
    if (loss === undefined) return r.missing("packet_sock_entry.loss");
    if (timestamp === undefined) return r.missing("packet_sock_entry.timestamp");
    if (copy_thresh === undefined) return r.missing("packet_sock_entry.copy_thresh");
    return { id, type, protocol, flags, ifindex, fown, opts, version, reserve, aux_data, orig_dev, vnet_hdr, loss, timestamp, copy_thresh, mclist, fanout, rx_ring, tx_ring, ns_id, rx_next, rx_frames };
  },
};

export interface PacketFrame {
  index: number;
  /** all of it: the header with its status, the address, the packet */
  data: Uint8Array;
}

export const PacketFrame: Codec<PacketFrame> = {
  name: "packet_frame",
  write(w: Writer, m: PacketFrame): void {
    w.uint32(8, m.index, "packet_frame.index");
    w.bytes(18, m.data, "packet_frame.data");
  },
  read(r: Reader): PacketFrame {
    let index: number | undefined;
    let data_: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          index = r.uint32();
          break;
        case 18:
          data_ = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (index === undefined) return r.missing("packet_frame.index");
    if (data_ === undefined) return r.missing("packet_frame.data");
    return { index, data: data_ };
  },
};

export interface PacketMclist {
  index: number;
  type: number;
  addr: Uint8Array;
}

export const PacketMclist: Codec<PacketMclist> = {
  name: "packet_mclist",
  write(w: Writer, m: PacketMclist): void {
    w.uint32(8, m.index, "packet_mclist.index");
    w.uint32(16, m.type, "packet_mclist.type");
    w.bytes(26, m.addr, "packet_mclist.addr");
  },
  read(r: Reader): PacketMclist {
    let index: number | undefined;
    let type: number | undefined;
    let addr: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          index = r.uint32();
          break;
        case 16:
          type = r.uint32();
          break;
        case 26:
          addr = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (index === undefined) return r.missing("packet_mclist.index");
    if (type === undefined) return r.missing("packet_mclist.type");
    if (addr === undefined) return r.missing("packet_mclist.addr");
    return { index, type, addr };
  },
};

export interface PacketRing {
  block_size: number;
  block_nr: number;
  frame_size: number;
  frame_nr: number;
  retire_tmo: number;
  sizeof_priv: number;
  features: number;
}

export const PacketRing: Codec<PacketRing> = {
  name: "packet_ring",
  write(w: Writer, m: PacketRing): void {
    w.uint32(8, m.block_size, "packet_ring.block_size");
    w.uint32(16, m.block_nr, "packet_ring.block_nr");
    w.uint32(24, m.frame_size, "packet_ring.frame_size");
    w.uint32(32, m.frame_nr, "packet_ring.frame_nr");
    w.uint32(40, m.retire_tmo, "packet_ring.retire_tmo");
    w.uint32(48, m.sizeof_priv, "packet_ring.sizeof_priv");
    w.uint32(56, m.features, "packet_ring.features");
  },
  read(r: Reader): PacketRing {
    let block_size: number | undefined;
    let block_nr: number | undefined;
    let frame_size: number | undefined;
    let frame_nr: number | undefined;
    let retire_tmo: number | undefined;
    let sizeof_priv: number | undefined;
    let features: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          block_size = r.uint32();
          break;
        case 16:
          block_nr = r.uint32();
          break;
        case 24:
          frame_size = r.uint32();
          break;
        case 32:
          frame_nr = r.uint32();
          break;
        case 40:
          retire_tmo = r.uint32();
          break;
        case 48:
          sizeof_priv = r.uint32();
          break;
        case 56:
          features = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (block_size === undefined) return r.missing("packet_ring.block_size");
    if (block_nr === undefined) return r.missing("packet_ring.block_nr");
    if (frame_size === undefined) return r.missing("packet_ring.frame_size");
    if (frame_nr === undefined) return r.missing("packet_ring.frame_nr");
    if (retire_tmo === undefined) return r.missing("packet_ring.retire_tmo");
    if (sizeof_priv === undefined) return r.missing("packet_ring.sizeof_priv");
    if (features === undefined) return r.missing("packet_ring.features");
    return { block_size, block_nr, frame_size, frame_nr, retire_tmo, sizeof_priv, features };
  },
};
