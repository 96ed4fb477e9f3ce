// Made from namespaces.proto by scripts/generate-images.ts. Not to be edited.

import { type NsPid, nsPid } from "../../../linux/pid.ts";
import type { Codec, Reader, Writer } from "../../wire.ts";

/** The values of mnt_entry.fstype. 20 to 22 are kept free for NFS. */
export const Fstype = {
  UNSUPPORTED: 0,
  PROC: 1,
  SYSFS: 2,
  DEVTMPFS: 3,
  BINFMT_MISC: 4,
  TMPFS: 5,
  DEVPTS: 6,
  SIMFS: 7,
  PSTORE: 8,
  SECURITYFS: 9,
  FUSECTL: 10,
  DEBUGFS: 11,
  CGROUP: 12,
  AUFS: 13,
  MQUEUE: 14,
  FUSE: 15,
  AUTO: 16,
  OVERLAYFS: 17,
  AUTOFS: 18,
  TRACEFS: 19,
  CGROUP2: 23,
} as const;
export type Fstype = (typeof Fstype)[keyof typeof Fstype];
export function isFstype(value: number): value is Fstype {
  return (value >= 0 && value <= 19) || value === 23;
}

/** mountpoints-N.img */
export interface MntEntry {
  fstype: number;
  mnt_id: number;
  root_dev: number;
  parent_mnt_id: number;
  flags: number;
  root: string;
  mountpoint: string;
  source: string;
  options: string;
  shared_id?: number | undefined;
  master_id?: number | undefined;
  with_plugin?: boolean | undefined;
  ext_mount?: boolean | undefined;
  fsname?: string | undefined;
  internal_sharing?: boolean | undefined;
  deleted?: boolean | undefined;
  sb_flags?: number | undefined;
  ext_key?: string | undefined;
  /** Ours: what the root of a mount that has lost its name was, ghost-file-ID.img. */
  ghost_id?: number | undefined;
}

export const MntEntry: Codec<MntEntry> = {
  name: "mnt_entry",
  write(w: Writer, m: MntEntry): void {
    w.uint32(8, m.fstype, "mnt_entry.fstype");
    w.uint32(16, m.mnt_id, "mnt_entry.mnt_id");
    w.uint32(24, m.root_dev, "mnt_entry.root_dev");
    w.uint32(32, m.parent_mnt_id, "mnt_entry.parent_mnt_id");
    w.uint32(40, m.flags, "mnt_entry.flags");
    w.string(50, m.root, "mnt_entry.root");
    w.string(58, m.mountpoint, "mnt_entry.mountpoint");
    w.string(66, m.source, "mnt_entry.source");
    w.string(74, m.options, "mnt_entry.options");
    if (m.shared_id !== undefined) w.uint32(80, m.shared_id, "mnt_entry.shared_id");
    if (m.master_id !== undefined) w.uint32(88, m.master_id, "mnt_entry.master_id");
    if (m.with_plugin !== undefined) w.bool(96, m.with_plugin, "mnt_entry.with_plugin");
    if (m.ext_mount !== undefined) w.bool(104, m.ext_mount, "mnt_entry.ext_mount");
    if (m.fsname !== undefined) w.string(114, m.fsname, "mnt_entry.fsname");
    if (m.internal_sharing !== undefined) w.bool(120, m.internal_sharing, "mnt_entry.internal_sharing");
    if (m.deleted !== undefined) w.bool(128, m.deleted, "mnt_entry.deleted");
    if (m.sb_flags !== undefined) w.uint32(136, m.sb_flags, "mnt_entry.sb_flags");
    if (m.ext_key !== undefined) w.string(146, m.ext_key, "mnt_entry.ext_key");
    if (m.ghost_id !== undefined) w.uint32(8000, m.ghost_id, "mnt_entry.ghost_id");
  },
  read(r: Reader): MntEntry {
    let fstype: number | undefined;
    let mnt_id: number | undefined;
    let root_dev: number | undefined;
    let parent_mnt_id: number | undefined;
    let flags: number | undefined;
    let root: string | undefined;
    let mountpoint: string | undefined;
    let source: string | undefined;
    let options: string | undefined;
    let shared_id: number | undefined;
    let master_id: number | undefined;
    let with_plugin: boolean | undefined;
    let ext_mount: boolean | undefined;
    let fsname: string | undefined;
    let internal_sharing: boolean | undefined;
    let deleted: boolean | undefined;
    let sb_flags: number | undefined;
    let ext_key: string | undefined;
    let ghost_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          fstype = r.uint32();
          break;
        case 16:
          mnt_id = r.uint32();
          break;
        case 24:
          root_dev = r.uint32();
          break;
        case 32:
          parent_mnt_id = r.uint32();
          break;
        case 40:
          flags = r.uint32();
          break;
        case 50:
          root = r.string();
          break;
        case 58:
          mountpoint = r.string();
          break;
        case 66:
          source = r.string();
          break;
        case 74:
          options = r.string();
          break;
        case 80:
          shared_id = r.uint32();
          break;
        case 88:
          master_id = r.uint32();
          break;
        case 96:
          with_plugin = r.bool();
          break;
        case 104:
          ext_mount = r.bool();
          break;
        case 114:
          fsname = r.string();
          break;
        case 120:
          internal_sharing = r.bool();
          break;
        case 128:
          deleted = r.bool();
          break;
        case 136:
          sb_flags = r.uint32();
          break;
        case 146:
          ext_key = r.string();
          break;
        case 8000:
          ghost_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (fstype === undefined) return r.missing("mnt_entry.fstype");
    if (mnt_id === undefined) return r.missing("mnt_entry.mnt_id");
    if (root_dev === undefined) return r.missing("mnt_entry.root_dev");
    if (parent_mnt_id === undefined) return r.missing("mnt_entry.parent_mnt_id");
    if (flags === undefined) return r.missing("mnt_entry.flags");
    if (root === undefined) return r.missing("mnt_entry.root");
    if (mountpoint === undefined) return r.missing("mnt_entry.mountpoint");
    if (source === undefined) return r.missing("mnt_entry.source");
    if (options === undefined) return r.missing("mnt_entry.options");
    return { fstype, mnt_id, root_dev, parent_mnt_id, flags, root, mountpoint, source, options, shared_id, master_id, with_plugin, ext_mount, fsname, internal_sharing, deleted, sb_flags, ext_key, ghost_id };
  },
};

/** binfmt-misc.img */
export interface BinfmtMiscEntry {
  name: string;
  enabled: boolean;
  interpreter: string;
  flags?: string | undefined;
  extension?: string | undefined;
  magic?: string | undefined;
  mask?: string | undefined;
  offset?: number | undefined;
}

export const BinfmtMiscEntry: Codec<BinfmtMiscEntry> = {
  name: "binfmt_misc_entry",
  write(w: Writer, m: BinfmtMiscEntry): void {
    w.string(10, m.name, "binfmt_misc_entry.name");
    w.bool(16, m.enabled, "binfmt_misc_entry.enabled");
    w.string(26, m.interpreter, "binfmt_misc_entry.interpreter");
    if (m.flags !== undefined) w.string(34, m.flags, "binfmt_misc_entry.flags");
    if (m.extension !== undefined) w.string(42, m.extension, "binfmt_misc_entry.extension");
    if (m.magic !== undefined) w.string(50, m.magic, "binfmt_misc_entry.magic");
    if (m.mask !== undefined) w.string(58, m.mask, "binfmt_misc_entry.mask");
    if (m.offset !== undefined) w.int32(64, m.offset, "binfmt_misc_entry.offset");
  },
  read(r: Reader): BinfmtMiscEntry {
    let name: string | undefined;
    let enabled: boolean | undefined;
    let interpreter: string | undefined;
    let flags: string | undefined;
    let extension: string | undefined;
    let magic: string | undefined;
    let mask: string | undefined;
    let offset: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 16:
          enabled = r.bool();
          break;
        case 26:
          interpreter = r.string();
          break;
        case 34:
          flags = r.string();
          break;
        case 42:
          extension = r.string();
          break;
        case 50:
          magic = r.string();
          break;
        case 58:
          mask = r.string();
          break;
        case 64:
          offset = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("binfmt_misc_entry.name");
    if (enabled === undefined) return r.missing("binfmt_misc_entry.enabled");
    if (interpreter === undefined) return r.missing("binfmt_misc_entry.interpreter");
    return { name, enabled, interpreter, flags, extension, magic, mask, offset };
  },
};

/** autofs-DEVICE.img */
export interface AutofsEntry {
  fd: number;
  pgrp: NsPid;
  timeout: number;
  minproto: number;
  maxproto: number;
  mode: number;
  uid?: number | undefined;
  gid?: number | undefined;
  read_fd?: number | undefined;
}

export const AutofsEntry: Codec<AutofsEntry> = {
  name: "autofs_entry",
  write(w: Writer, m: AutofsEntry): void {
    w.int32(8, m.fd, "autofs_entry.fd");
    w.int32(16, m.pgrp, "autofs_entry.pgrp");
    w.int32(24, m.timeout, "autofs_entry.timeout");
    w.int32(32, m.minproto, "autofs_entry.minproto");
    w.int32(40, m.maxproto, "autofs_entry.maxproto");
    w.int32(48, m.mode, "autofs_entry.mode");
    if (m.uid !== undefined) w.int32(56, m.uid, "autofs_entry.uid");
    if (m.gid !== undefined) w.int32(64, m.gid, "autofs_entry.gid");
    if (m.read_fd !== undefined) w.int32(72, m.read_fd, "autofs_entry.read_fd");
  },
  read(r: Reader): AutofsEntry {
    let fd: number | undefined;
    let pgrp: NsPid | undefined;
    let timeout: number | undefined;
    let minproto: number | undefined;
    let maxproto: number | undefined;
    let mode: number | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    let read_fd: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          fd = r.int32();
          break;
        case 16:
          pgrp = nsPid(r.int32());
          break;
        case 24:
          timeout = r.int32();
          break;
        case 32:
          minproto = r.int32();
          break;
        case 40:
          maxproto = r.int32();
          break;
        case 48:
          mode = r.int32();
          break;
        case 56:
          uid = r.int32();
          break;
        case 64:
          gid = r.int32();
          break;
        case 72:
          read_fd = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (fd === undefined) return r.missing("autofs_entry.fd");
    if (pgrp === undefined) return r.missing("autofs_entry.pgrp");
    if (timeout === undefined) return r.missing("autofs_entry.timeout");
    if (minproto === undefined) return r.missing("autofs_entry.minproto");
    if (maxproto === undefined) return r.missing("autofs_entry.maxproto");
    if (mode === undefined) return r.missing("autofs_entry.mode");
    return { fd, pgrp, timeout, minproto, maxproto, mode, uid, gid, read_fd };
  },
};

export const NdType = {
  LOOPBACK: 1,
  VETH: 2,
  TUN: 3,
  EXTLINK: 4,
  VENET: 5,
  BRIDGE: 6,
  MACVLAN: 7,
  SIT: 8,
} as const;
export type NdType = (typeof NdType)[keyof typeof NdType];
export function isNdType(value: number): value is NdType {
  return (value >= 1 && value <= 8);
}

/** netdev-N.img */
export interface NetDeviceEntry {
  type: NdType;
  ifindex: number;
  mtu: number;
  flags: number;
  name: string;
  tun?: TunLinkEntry | undefined;
  address?: Uint8Array | undefined;
  /** old images; conf4 now */
  conf: number[];
  conf4: SysctlEntry[];
  conf6: SysctlEntry[];
  macvlan?: MacvlanLinkEntry | undefined;
  peer_ifindex?: number | undefined;
  peer_nsid?: number | undefined;
  master?: number | undefined;
  sit?: SitEntry | undefined;
  /** as `ip link add ... type KIND`; with link_data, what it is made with (IFLA_INFO_DATA) */
  kind?: string | undefined;
  link_data?: Uint8Array | undefined;
  /** what its master keeps of it (IFLA_INFO_SLAVE_DATA) */
  port_data?: Uint8Array | undefined;
  /** index of the device that it stands on */
  link?: number | undefined;
  queue_length?: number | undefined;
  group?: number | undefined;
  alias?: string | undefined;
  other_names: string[];
  /** how link-local IPv6 addresses come about */
  addr_gen_mode?: number | undefined;
}

export const NetDeviceEntry: Codec<NetDeviceEntry> = {
  name: "net_device_entry",
  write(w: Writer, m: NetDeviceEntry): void {
    w.int32(8, m.type, "net_device_entry.type");
    w.uint32(16, m.ifindex, "net_device_entry.ifindex");
    w.uint32(24, m.mtu, "net_device_entry.mtu");
    w.uint32(32, m.flags, "net_device_entry.flags");
    w.string(42, m.name, "net_device_entry.name");
    if (m.tun !== undefined) w.message(50, TunLinkEntry, m.tun, "net_device_entry.tun");
    if (m.address !== undefined) w.bytes(58, m.address, "net_device_entry.address");
    for (const v of m.conf) w.int32(64, v, "net_device_entry.conf");
    for (const v of m.conf4) w.message(74, SysctlEntry, v, "net_device_entry.conf4");
    for (const v of m.conf6) w.message(82, SysctlEntry, v, "net_device_entry.conf6");
    if (m.macvlan !== undefined) w.message(90, MacvlanLinkEntry, m.macvlan, "net_device_entry.macvlan");
    if (m.peer_ifindex !== undefined) w.uint32(96, m.peer_ifindex, "net_device_entry.peer_ifindex");
    if (m.peer_nsid !== undefined) w.uint32(104, m.peer_nsid, "net_device_entry.peer_nsid");
    if (m.master !== undefined) w.uint32(112, m.master, "net_device_entry.master");
    if (m.sit !== undefined) w.message(122, SitEntry, m.sit, "net_device_entry.sit");
    if (m.kind !== undefined) w.string(8002, m.kind, "net_device_entry.kind");
    if (m.link_data !== undefined) w.bytes(8010, m.link_data, "net_device_entry.link_data");
    if (m.port_data !== undefined) w.bytes(8018, m.port_data, "net_device_entry.port_data");
    if (m.link !== undefined) w.uint32(8024, m.link, "net_device_entry.link");
    if (m.queue_length !== undefined) w.uint32(8032, m.queue_length, "net_device_entry.queue_length");
    if (m.group !== undefined) w.uint32(8040, m.group, "net_device_entry.group");
    if (m.alias !== undefined) w.string(8050, m.alias, "net_device_entry.alias");
    for (const v of m.other_names) w.string(8058, v, "net_device_entry.other_names");
    if (m.addr_gen_mode !== undefined) w.uint32(8064, m.addr_gen_mode, "net_device_entry.addr_gen_mode");
  },
  read(r: Reader): NetDeviceEntry {
    let type: NdType | undefined;
    let ifindex: number | undefined;
    let mtu: number | undefined;
    let flags: number | undefined;
    let name: string | undefined;
    let tun: TunLinkEntry | undefined;
    let address: Uint8Array | undefined;
    const conf: number[] = [];
    const conf4: SysctlEntry[] = [];
    const conf6: SysctlEntry[] = [];
    let macvlan: MacvlanLinkEntry | undefined;
    let peer_ifindex: number | undefined;
    let peer_nsid: number | undefined;
    let master: number | undefined;
    let sit: SitEntry | undefined;
    let kind: string | undefined;
    let link_data: Uint8Array | undefined;
    let port_data: Uint8Array | undefined;
    let link: number | undefined;
    let queue_length: number | undefined;
    let group: number | undefined;
    let alias: string | undefined;
    const other_names: string[] = [];
    let addr_gen_mode: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          type = r.enumeration(isNdType, "net_device_entry.type");
          break;
        case 16:
          ifindex = r.uint32();
          break;
        case 24:
          mtu = r.uint32();
          break;
        case 32:
          flags = r.uint32();
          break;
        case 42:
          name = r.string();
          break;
        case 50:
          tun = r.message(TunLinkEntry);
          break;
        case 58:
          address = r.bytes();
          break;
        case 64:
          conf.push(r.int32());
          break;
        case 66:
          r.packed(conf, r.int32);
          break;
        case 74:
          conf4.push(r.message(SysctlEntry));
          break;
        case 82:
          conf6.push(r.message(SysctlEntry));
          break;
        case 90:
          macvlan = r.message(MacvlanLinkEntry);
          break;
        case 96:
          peer_ifindex = r.uint32();
          break;
        case 104:
          peer_nsid = r.uint32();
          break;
        case 112:
          master = r.uint32();
          break;
        case 122:
          sit = r.message(SitEntry);
          break;
        case 8002:
          kind = r.string();
          break;
        case 8010:
          link_data = r.bytes();
          break;
        case 8018:
          port_data = r.bytes();
          break;
        case 8024:
          link = r.uint32();
          break;
        case 8032:
          queue_length = r.uint32();
          break;
        case 8040:
          group = r.uint32();
          break;
        case 8050:
          alias = r.string();
          break;
        case 8058:
          other_names.push(r.string());
          break;
        case 8064:
          addr_gen_mode = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (type === undefined) return r.missing("net_device_entry.type");
    if (ifindex === undefined) return r.missing("net_device_entry.ifindex");
    if (mtu === undefined) return r.missing("net_device_entry.mtu");
    if (flags === undefined) return r.missing("net_device_entry.flags");
    if (name === undefined) return r.missing("net_device_entry.name");
    return { type, ifindex, mtu, flags, name, tun, address, conf, conf4, conf6, macvlan, peer_ifindex, peer_nsid, master, sit, kind, link_data, port_data, link, queue_length, group, alias, other_names, addr_gen_mode };
  },
};

export interface TunLinkEntry {
  flags: number;
  owner: number;
  group: number;
  vnethdr: number;
  sndbuf: number;
}

export const TunLinkEntry: Codec<TunLinkEntry> = {
  name: "tun_link_entry",
  write(w: Writer, m: TunLinkEntry): void {
    w.uint32(8, m.flags, "tun_link_entry.flags");
    w.int32(16, m.owner, "tun_link_entry.owner");
    w.int32(24, m.group, "tun_link_entry.group");
    w.uint32(32, m.vnethdr, "tun_link_entry.vnethdr");
    w.uint32(40, m.sndbuf, "tun_link_entry.sndbuf");
  },
  read(r: Reader): TunLinkEntry {
    let flags: number | undefined;
    let owner: number | undefined;
    let group: number | undefined;
    let vnethdr: number | undefined;
    let sndbuf: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          flags = r.uint32();
          break;
        case 16:
          owner = r.int32();
          break;
        case 24:
          group = r.int32();
          break;
        case 32:
          vnethdr = r.uint32();
          break;
        case 40:
          sndbuf = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (flags === undefined) return r.missing("tun_link_entry.flags");
    if (owner === undefined) return r.missing("tun_link_entry.owner");
    if (group === undefined) return r.missing("tun_link_entry.group");
    if (vnethdr === undefined) return r.missing("tun_link_entry.vnethdr");
    if (sndbuf === undefined) return r.missing("tun_link_entry.sndbuf");
    return { flags, owner, group, vnethdr, sndbuf };
  },
};

export interface MacvlanLinkEntry {
  mode: number;
  flags?: number | undefined;
}

export const MacvlanLinkEntry: Codec<MacvlanLinkEntry> = {
  name: "macvlan_link_entry",
  write(w: Writer, m: MacvlanLinkEntry): void {
    w.uint32(8, m.mode, "macvlan_link_entry.mode");
    if (m.flags !== undefined) w.uint32(16, m.flags, "macvlan_link_entry.flags");
  },
  read(r: Reader): MacvlanLinkEntry {
    let mode: number | undefined;
    let flags: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mode = r.uint32();
          break;
        case 16:
          flags = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mode === undefined) return r.missing("macvlan_link_entry.mode");
    return { mode, flags };
  },
};

export interface SitEntry {
  link?: number | undefined;
  local: number[];
  remote: number[];
  ttl?: number | undefined;
  tos?: number | undefined;
  pmtudisc?: boolean | undefined;
  proto?: number | undefined;
  flags?: number | undefined;
  encap_type?: number | undefined;
  encap_flags?: number | undefined;
  encap_sport?: number | undefined;
  encap_dport?: number | undefined;
  rd_prefixlen?: number | undefined;
  rd_prefix: number[];
  relay_prefixlen?: number | undefined;
  relay_prefix: number[];
}

export const SitEntry: Codec<SitEntry> = {
  name: "sit_entry",
  write(w: Writer, m: SitEntry): void {
    if (m.link !== undefined) w.uint32(8, m.link, "sit_entry.link");
    w.uint32s(16, m.local, "sit_entry.local");
    w.uint32s(24, m.remote, "sit_entry.remote");
    if (m.ttl !== undefined) w.uint32(32, m.ttl, "sit_entry.ttl");
    if (m.tos !== undefined) w.uint32(40, m.tos, "sit_entry.tos");
    if (m.pmtudisc !== undefined) w.bool(48, m.pmtudisc, "sit_entry.pmtudisc");
    if (m.proto !== undefined) w.uint32(56, m.proto, "sit_entry.proto");
    if (m.flags !== undefined) w.uint32(64, m.flags, "sit_entry.flags");
    if (m.encap_type !== undefined) w.uint32(72, m.encap_type, "sit_entry.encap_type");
    if (m.encap_flags !== undefined) w.uint32(80, m.encap_flags, "sit_entry.encap_flags");
    if (m.encap_sport !== undefined) w.uint32(88, m.encap_sport, "sit_entry.encap_sport");
    if (m.encap_dport !== undefined) w.uint32(96, m.encap_dport, "sit_entry.encap_dport");
    if (m.rd_prefixlen !== undefined) w.uint32(104, m.rd_prefixlen, "sit_entry.rd_prefixlen");
    w.uint32s(112, m.rd_prefix, "sit_entry.rd_prefix");
    if (m.relay_prefixlen !== undefined) w.uint32(120, m.relay_prefixlen, "sit_entry.relay_prefixlen");
    w.uint32s(128, m.relay_prefix, "sit_entry.relay_prefix");
  },
  read(r: Reader): SitEntry {
    let link: number | undefined;
    const local: number[] = [];
    const remote: number[] = [];
    let ttl: number | undefined;
    let tos: number | undefined;
    let pmtudisc: boolean | undefined;
    let proto: number | undefined;
    let flags: number | undefined;
    let encap_type: number | undefined;
    let encap_flags: number | undefined;
    let encap_sport: number | undefined;
    let encap_dport: number | undefined;
    let rd_prefixlen: number | undefined;
    const rd_prefix: number[] = [];
    let relay_prefixlen: number | undefined;
    const relay_prefix: number[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          link = r.uint32();
          break;
        case 16:
          local.push(r.uint32());
          break;
        case 18:
          r.packed(local, r.uint32);
          break;
        case 24:
          remote.push(r.uint32());
          break;
        case 26:
          r.packed(remote, r.uint32);
          break;
        case 32:
          ttl = r.uint32();
          break;
        case 40:
          tos = r.uint32();
          break;
        case 48:
          pmtudisc = r.bool();
          break;
        case 56:
          proto = r.uint32();
          break;
        case 64:
          flags = r.uint32();
          break;
        case 72:
          encap_type = r.uint32();
          break;
        case 80:
          encap_flags = r.uint32();
          break;
        case 88:
          encap_sport = r.uint32();
          break;
        case 96:
          encap_dport = r.uint32();
          break;
        case 104:
          rd_prefixlen = r.uint32();
          break;
        case 112:
          rd_prefix.push(r.uint32());
          break;
        case 114:
          r.packed(rd_prefix, r.uint32);
          break;
        case 120:
          relay_prefixlen = r.uint32();
          break;
        case 128:
          relay_prefix.push(r.uint32());
          break;
        case 130:
          r.packed(relay_prefix, r.uint32);
          break;
        default:
          r.skip(tag);
      }
    }
    return { link, local, remote, ttl, tos, pmtudisc, proto, flags, encap_type, encap_flags, encap_sport, encap_dport, rd_prefixlen, rd_prefix, relay_prefixlen, relay_prefix };
  },
};

/** netns-N.img */
export interface NetnsEntry {
  /** old images; def_conf4 now */
  def_conf: number[];
  /** old images; all_conf4 now */
  all_conf: number[];
  def_conf4: SysctlEntry[];
  all_conf4: SysctlEntry[];
  def_conf6: SysctlEntry[];
  all_conf6: SysctlEntry[];
  nsids: NetnsId[];
  ext_key?: string | undefined;
  unix_conf: SysctlEntry[];
  ipv4_sysctl: SysctlEntry[];
  /** what is not as in a new namespace */
  others: NamedSysctl[];
  /** preferences of those rules of IPv6 that a new namespace has, and this one had not */
  missing_rules6: number[];
  /** those that are there for good: struct ndmsg with its attributes */
  neighbours: Uint8Array[];
  /** ways that routes share: struct nhmsg with its attributes, those that others are made of first */
  nexthops: Uint8Array[];
}

export const NetnsEntry: Codec<NetnsEntry> = {
  name: "netns_entry",
  write(w: Writer, m: NetnsEntry): void {
    for (const v of m.def_conf) w.int32(8, v, "netns_entry.def_conf");
    for (const v of m.all_conf) w.int32(16, v, "netns_entry.all_conf");
    for (const v of m.def_conf4) w.message(26, SysctlEntry, v, "netns_entry.def_conf4");
    for (const v of m.all_conf4) w.message(34, SysctlEntry, v, "netns_entry.all_conf4");
    for (const v of m.def_conf6) w.message(42, SysctlEntry, v, "netns_entry.def_conf6");
    for (const v of m.all_conf6) w.message(50, SysctlEntry, v, "netns_entry.all_conf6");
    for (const v of m.nsids) w.message(58, NetnsId, v, "netns_entry.nsids");
    if (m.ext_key !== undefined) w.string(66, m.ext_key, "netns_entry.ext_key");
    for (const v of m.unix_conf) w.message(74, SysctlEntry, v, "netns_entry.unix_conf");
    for (const v of m.ipv4_sysctl) w.message(82, SysctlEntry, v, "netns_entry.ipv4_sysctl");
    for (const v of m.others) w.message(8002, NamedSysctl, v, "netns_entry.others");
    for (const v of m.neighbours) w.bytes(8010, v, "netns_entry.neighbours");
    w.uint32s(8016, m.missing_rules6, "netns_entry.missing_rules6");
    for (const v of m.nexthops) w.bytes(8026, v, "netns_entry.nexthops");
  },
  read(r: Reader): NetnsEntry {
    const def_conf: number[] = [];
    const all_conf: number[] = [];
    const def_conf4: SysctlEntry[] = [];
    const all_conf4: SysctlEntry[] = [];
    const def_conf6: SysctlEntry[] = [];
    const all_conf6: SysctlEntry[] = [];
    const nsids: NetnsId[] = [];
    let ext_key: string | undefined;
    const unix_conf: SysctlEntry[] = [];
    const ipv4_sysctl: SysctlEntry[] = [];
    const others: NamedSysctl[] = [];
    const neighbours: Uint8Array[] = [];
    const missing_rules6: number[] = [];
    const nexthops: Uint8Array[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          def_conf.push(r.int32());
          break;
        case 10:
          r.packed(def_conf, r.int32);
          break;
        case 16:
          all_conf.push(r.int32());
          break;
        case 18:
          r.packed(all_conf, r.int32);
          break;
        case 26:
          def_conf4.push(r.message(SysctlEntry));
          break;
        case 34:
          all_conf4.push(r.message(SysctlEntry));
          break;
        case 42:
          def_conf6.push(r.message(SysctlEntry));
          break;
        case 50:
          all_conf6.push(r.message(SysctlEntry));
          break;
        case 58:
          nsids.push(r.message(NetnsId));
          break;
        case 66:
          ext_key = r.string();
          break;
        case 74:
          unix_conf.push(r.message(SysctlEntry));
          break;
        case 82:
          ipv4_sysctl.push(r.message(SysctlEntry));
          break;
        case 8002:
          others.push(r.message(NamedSysctl));
          break;
        case 8010:
          neighbours.push(r.bytes());
          break;
        case 8016:
          missing_rules6.push(r.uint32());
          break;
        case 8018:
          r.packed(missing_rules6, r.uint32);
          break;
        case 8026:
          nexthops.push(r.bytes());
          break;
        default:
          r.skip(tag);
      }
    }
    return { def_conf, all_conf, def_conf4, all_conf4, def_conf6, all_conf6, nsids, ext_key, unix_conf, ipv4_sysctl, others, missing_rules6, neighbours, nexthops };
  },
};

export interface NamedSysctl {
  /** below /proc/sys/net */
  name: string;
  value: string;
}

export const NamedSysctl: Codec<NamedSysctl> = {
  name: "named_sysctl",
  write(w: Writer, m: NamedSysctl): void {
    w.string(10, m.name, "named_sysctl.name");
    w.string(18, m.value, "named_sysctl.value");
  },
  read(r: Reader): NamedSysctl {
    let name: string | undefined;
    let value: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 18:
          value = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("named_sysctl.name");
    if (value === undefined) return r.missing("named_sysctl.value");
    return { name, value };
  },
};

/** `netnsid_value` is how the namespace of the image calls the namespace `target_ns_id` of the images. */
export interface NetnsId {
  target_ns_id: number;
  netnsid_value: number;
}

export const NetnsId: Codec<NetnsId> = {
  name: "netns_id",
  write(w: Writer, m: NetnsId): void {
    w.uint32(8, m.target_ns_id, "netns_id.target_ns_id");
    w.int32(16, m.netnsid_value, "netns_id.netnsid_value");
  },
  read(r: Reader): NetnsId {
    let target_ns_id: number | undefined;
    let netnsid_value: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          target_ns_id = r.uint32();
          break;
        case 16:
          netnsid_value = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (target_ns_id === undefined) return r.missing("netns_id.target_ns_id");
    if (netnsid_value === undefined) return r.missing("netns_id.netnsid_value");
    return { target_ns_id, netnsid_value };
  },
};

export const SysctlType = {
  CTL_STR: 5,
  CTL_32: 6,
} as const;
export type SysctlType = (typeof SysctlType)[keyof typeof SysctlType];
export function isSysctlType(value: number): value is SysctlType {
  return (value >= 5 && value <= 6);
}

export interface SysctlEntry {
  type: SysctlType;
  iarg?: number | undefined;
  sarg?: string | undefined;
}

export const SysctlEntry: Codec<SysctlEntry> = {
  name: "sysctl_entry",
  write(w: Writer, m: SysctlEntry): void {
    w.int32(8, m.type, "sysctl_entry.type");
    if (m.iarg !== undefined) w.int32(16, m.iarg, "sysctl_entry.iarg");
    if (m.sarg !== undefined) w.string(26, m.sarg, "sysctl_entry.sarg");
  },
  read(r: Reader): SysctlEntry {
    let type: SysctlType | undefined;
    let iarg: number | undefined;
    let sarg: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          type = r.enumeration(isSysctlType, "sysctl_entry.type");
          break;
        case 16:
          iarg = r.int32();
          break;
        case 26:
          sarg = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (type === undefined) return r.missing("sysctl_entry.type");
    return { type, iarg, sarg };
  },
};

/** ipcns-var-N.img */
export interface IpcVarEntry {
  sem_ctls: number[];
  msg_ctlmax: number;
  msg_ctlmnb: number;
  msg_ctlmni: number;
  auto_msgmni: number;
  shm_ctlmax: bigint;
  shm_ctlall: bigint;
  shm_ctlmni: number;
  shm_rmid_forced: number;
  mq_queues_max: number;
  mq_msg_max: number;
  mq_msgsize_max: number;
  mq_msg_default?: number | undefined;
  mq_msgsize_default?: number | undefined;
  msg_next_id?: number | undefined;
  sem_next_id?: number | undefined;
  shm_next_id?: number | undefined;
  /** this program's own: POSIX message queues that have a name */
  queues: MqueueEntry[];
}

export const IpcVarEntry: Codec<IpcVarEntry> = {
  name: "ipc_var_entry",
  write(w: Writer, m: IpcVarEntry): void {
    w.uint32s(8, m.sem_ctls, "ipc_var_entry.sem_ctls");
    w.uint32(16, m.msg_ctlmax, "ipc_var_entry.msg_ctlmax");
    w.uint32(24, m.msg_ctlmnb, "ipc_var_entry.msg_ctlmnb");
    w.uint32(32, m.msg_ctlmni, "ipc_var_entry.msg_ctlmni");
    w.uint32(40, m.auto_msgmni, "ipc_var_entry.auto_msgmni");
    w.uint64(48, m.shm_ctlmax, "ipc_var_entry.shm_ctlmax");
    w.uint64(56, m.shm_ctlall, "ipc_var_entry.shm_ctlall");
    w.uint32(64, m.shm_ctlmni, "ipc_var_entry.shm_ctlmni");
    w.uint32(72, m.shm_rmid_forced, "ipc_var_entry.shm_rmid_forced");
    w.uint32(80, m.mq_queues_max, "ipc_var_entry.mq_queues_max");
    w.uint32(88, m.mq_msg_max, "ipc_var_entry.mq_msg_max");
    w.uint32(96, m.mq_msgsize_max, "ipc_var_entry.mq_msgsize_max");
    if (m.mq_msg_default !== undefined) w.uint32(104, m.mq_msg_default, "ipc_var_entry.mq_msg_default");
    if (m.mq_msgsize_default !== undefined) w.uint32(112, m.mq_msgsize_default, "ipc_var_entry.mq_msgsize_default");
    if (m.msg_next_id !== undefined) w.uint32(120, m.msg_next_id, "ipc_var_entry.msg_next_id");
    if (m.sem_next_id !== undefined) w.uint32(128, m.sem_next_id, "ipc_var_entry.sem_next_id");
    if (m.shm_next_id !== undefined) w.uint32(136, m.shm_next_id, "ipc_var_entry.shm_next_id");
    for (const v of m.queues) w.message(8002, MqueueEntry, v, "ipc_var_entry.queues");
  },
  read(r: Reader): IpcVarEntry {
    const sem_ctls: number[] = [];
    let msg_ctlmax: number | undefined;
    let msg_ctlmnb: number | undefined;
    let msg_ctlmni: number | undefined;
    let auto_msgmni: number | undefined;
    let shm_ctlmax: bigint | undefined;
    let shm_ctlall: bigint | undefined;
    let shm_ctlmni: number | undefined;
    let shm_rmid_forced: number | undefined;
    let mq_queues_max: number | undefined;
    let mq_msg_max: number | undefined;
    let mq_msgsize_max: number | undefined;
    let mq_msg_default: number | undefined;
    let mq_msgsize_default: number | undefined;
    let msg_next_id: number | undefined;
    let sem_next_id: number | undefined;
    let shm_next_id: number | undefined;
    const queues: MqueueEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          sem_ctls.push(r.uint32());
          break;
        case 10:
          r.packed(sem_ctls, r.uint32);
          break;
        case 16:
          msg_ctlmax = r.uint32();
          break;
        case 24:
          msg_ctlmnb = r.uint32();
          break;
        case 32:
          msg_ctlmni = r.uint32();
          break;
        case 40:
          auto_msgmni = r.uint32();
          break;
        case 48:
          shm_ctlmax = r.uint64();
          break;
        case 56:
          shm_ctlall = r.uint64();
          break;
        case 64:
          shm_ctlmni = r.uint32();
          break;
        case 72:
          shm_rmid_forced = r.uint32();
          break;
        case 80:
          mq_queues_max = r.uint32();
          break;
        case 88:
          mq_msg_max = r.uint32();
          break;
        case 96:
          mq_msgsize_max = r.uint32();
          break;
        case 104:
          mq_msg_default = r.uint32();
          break;
        case 112:
          mq_msgsize_default = r.uint32();
          break;
        case 120:
          msg_next_id = r.uint32();
          break;
        case 128:
          sem_next_id = r.uint32();
          break;
        case 136:
          shm_next_id = r.uint32();
          break;
        case 8002:
          queues.push(r.message(MqueueEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (msg_ctlmax === undefined) return r.missing("ipc_var_entry.msg_ctlmax");
    if (msg_ctlmnb === undefined) return r.missing("ipc_var_entry.msg_ctlmnb");
    if (msg_ctlmni === undefined) return r.missing("ipc_var_entry.msg_ctlmni");
    if (auto_msgmni === undefined) return r.missing("ipc_var_entry.auto_msgmni");
    if (shm_ctlmax === undefined) return r.missing("ipc_var_entry.shm_ctlmax");
    if (shm_ctlall === undefined) return r.missing("ipc_var_entry.shm_ctlall");
    if (shm_ctlmni === undefined) return r.missing("ipc_var_entry.shm_ctlmni");
    if (shm_rmid_forced === undefined) return r.missing("ipc_var_entry.shm_rmid_forced");
    if (mq_queues_max === undefined) return r.missing("ipc_var_entry.mq_queues_max");
    if (mq_msg_max === undefined) return r.missing("ipc_var_entry.mq_msg_max");
    if (mq_msgsize_max === undefined) return r.missing("ipc_var_entry.mq_msgsize_max");
    return { sem_ctls, msg_ctlmax, msg_ctlmnb, msg_ctlmni, auto_msgmni, shm_ctlmax, shm_ctlall, shm_ctlmni, shm_rmid_forced, mq_queues_max, mq_msg_max, mq_msgsize_max, mq_msg_default, mq_msgsize_default, msg_next_id, sem_next_id, shm_next_id, queues };
  },
};

/** This program's own: a POSIX message queue. */
export interface MqueueEntry {
  /** without the slash of mq_open(3) */
  name: string;
  mode: number;
  uid: number;
  gid: number;
  max_messages: bigint;
  /** the largest that it takes */
  message_size: bigint;
  /** first the one that is received first */
  messages: MqueueMessage[];
}

export const MqueueEntry: Codec<MqueueEntry> = {
  name: "mqueue_entry",
  write(w: Writer, m: MqueueEntry): void {
    w.string(10, m.name, "mqueue_entry.name");
    w.uint32(16, m.mode, "mqueue_entry.mode");
    w.uint32(24, m.uid, "mqueue_entry.uid");
    w.uint32(32, m.gid, "mqueue_entry.gid");
    w.uint64(40, m.max_messages, "mqueue_entry.max_messages");
    w.uint64(48, m.message_size, "mqueue_entry.message_size");
    for (const v of m.messages) w.message(58, MqueueMessage, v, "mqueue_entry.messages");
  },
  read(r: Reader): MqueueEntry {
    let name: string | undefined;
    let mode: number | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    let max_messages: bigint | undefined;
    let message_size: bigint | undefined;
    const messages: MqueueMessage[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 16:
          mode = r.uint32();
          break;
        case 24:
          uid = r.uint32();
          break;
        case 32:
          gid = r.uint32();
          break;
        case 40:
          max_messages = r.uint64();
          break;
        case 48:
          message_size = r.uint64();
          break;
        case 58:
          messages.push(r.message(MqueueMessage));
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("mqueue_entry.name");
    if (mode === undefined) return r.missing("mqueue_entry.mode");
    if (uid === undefined) return r.missing("mqueue_entry.uid");
    if (gid === undefined) return r.missing("mqueue_entry.gid");
    if (max_messages === undefined) return r.missing("mqueue_entry.max_messages");
    if (message_size === undefined) return r.missing("mqueue_entry.message_size");
    return { name, mode, uid, gid, max_messages, message_size, messages };
  },
};

export interface MqueueMessage {
  priority: number;
  text: Uint8Array;
}

export const MqueueMessage: Codec<MqueueMessage> = {
  name: "mqueue_message",
  write(w: Writer, m: MqueueMessage): void {
    w.uint32(8, m.priority, "mqueue_message.priority");
    w.bytes(18, m.text, "mqueue_message.text");
  },
  read(r: Reader): MqueueMessage {
    let priority: number | undefined;
    let text: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          priority = r.uint32();
          break;
        case 18:
          text = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (priority === undefined) return r.missing("mqueue_message.priority");
    if (text === undefined) return r.missing("mqueue_message.text");
    return { priority, text };
  },
};

/** What every System V object has. */
export interface IpcDescEntry {
  key: number;
  uid: number;
  gid: number;
  cuid: number;
  cgid: number;
  mode: number;
  id: number;
}

export const IpcDescEntry: Codec<IpcDescEntry> = {
  name: "ipc_desc_entry",
  write(w: Writer, m: IpcDescEntry): void {
    w.uint32(8, m.key, "ipc_desc_entry.key");
    w.uint32(16, m.uid, "ipc_desc_entry.uid");
    w.uint32(24, m.gid, "ipc_desc_entry.gid");
    w.uint32(32, m.cuid, "ipc_desc_entry.cuid");
    w.uint32(40, m.cgid, "ipc_desc_entry.cgid");
    w.uint32(48, m.mode, "ipc_desc_entry.mode");
    w.uint32(56, m.id, "ipc_desc_entry.id");
  },
  read(r: Reader): IpcDescEntry {
    let key: number | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    let cuid: number | undefined;
    let cgid: number | undefined;
    let mode: number | undefined;
    let id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          key = r.uint32();
          break;
        case 16:
          uid = r.uint32();
          break;
        case 24:
          gid = r.uint32();
          break;
        case 32:
          cuid = r.uint32();
          break;
        case 40:
          cgid = r.uint32();
          break;
        case 48:
          mode = r.uint32();
          break;
        case 56:
          id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (key === undefined) return r.missing("ipc_desc_entry.key");
    if (uid === undefined) return r.missing("ipc_desc_entry.uid");
    if (gid === undefined) return r.missing("ipc_desc_entry.gid");
    if (cuid === undefined) return r.missing("ipc_desc_entry.cuid");
    if (cgid === undefined) return r.missing("ipc_desc_entry.cgid");
    if (mode === undefined) return r.missing("ipc_desc_entry.mode");
    if (id === undefined) return r.missing("ipc_desc_entry.id");
    return { key, uid, gid, cuid, cgid, mode, id };
  },
};

/** ipcns-shm-N.img; unless in_pagemaps, the segment's bytes follow. */
export interface IpcShmEntry {
  desc: IpcDescEntry;
  size: bigint;
  in_pagemaps?: boolean | undefined;
  hugetlb_flag?: number | undefined;
}

export const IpcShmEntry: Codec<IpcShmEntry> = {
  name: "ipc_shm_entry",
  write(w: Writer, m: IpcShmEntry): void {
    w.message(10, IpcDescEntry, m.desc, "ipc_shm_entry.desc");
    w.uint64(16, m.size, "ipc_shm_entry.size");
    if (m.in_pagemaps !== undefined) w.bool(24, m.in_pagemaps, "ipc_shm_entry.in_pagemaps");
    if (m.hugetlb_flag !== undefined) w.uint32(32, m.hugetlb_flag, "ipc_shm_entry.hugetlb_flag");
  },
  read(r: Reader): IpcShmEntry {
    let desc: IpcDescEntry | undefined;
    let size: bigint | undefined;
    let in_pagemaps: boolean | undefined;
    let hugetlb_flag: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          desc = r.message(IpcDescEntry);
          break;
        case 16:
          size = r.uint64();
          break;
        case 24:
          in_pagemaps = r.bool();
          break;
        case 32:
          hugetlb_flag = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (desc === undefined) return r.missing("ipc_shm_entry.desc");
    if (size === undefined) return r.missing("ipc_shm_entry.size");
    return { desc, size, in_pagemaps, hugetlb_flag };
  },
};

/** ipcns-sem-N.img; the values, 16 bits each, follow. */
export interface IpcSemEntry {
  desc: IpcDescEntry;
  nsems: number;
}

export const IpcSemEntry: Codec<IpcSemEntry> = {
  name: "ipc_sem_entry",
  write(w: Writer, m: IpcSemEntry): void {
    w.message(10, IpcDescEntry, m.desc, "ipc_sem_entry.desc");
    w.uint32(16, m.nsems, "ipc_sem_entry.nsems");
  },
  read(r: Reader): IpcSemEntry {
    let desc: IpcDescEntry | undefined;
    let nsems: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          desc = r.message(IpcDescEntry);
          break;
        case 16:
          nsems = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (desc === undefined) return r.missing("ipc_sem_entry.desc");
    if (nsems === undefined) return r.missing("ipc_sem_entry.nsems");
    return { desc, nsems };
  },
};

/** ipcns-msg-N.img; `qnum` messages follow, each framed like an entry and with its text behind it. */
export interface IpcMsgEntry {
  desc: IpcDescEntry;
  qbytes: number;
  qnum: number;
}

export const IpcMsgEntry: Codec<IpcMsgEntry> = {
  name: "ipc_msg_entry",
  write(w: Writer, m: IpcMsgEntry): void {
    w.message(10, IpcDescEntry, m.desc, "ipc_msg_entry.desc");
    w.uint32(16, m.qbytes, "ipc_msg_entry.qbytes");
    w.uint32(24, m.qnum, "ipc_msg_entry.qnum");
  },
  read(r: Reader): IpcMsgEntry {
    let desc: IpcDescEntry | undefined;
    let qbytes: number | undefined;
    let qnum: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          desc = r.message(IpcDescEntry);
          break;
        case 16:
          qbytes = r.uint32();
          break;
        case 24:
          qnum = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (desc === undefined) return r.missing("ipc_msg_entry.desc");
    if (qbytes === undefined) return r.missing("ipc_msg_entry.qbytes");
    if (qnum === undefined) return r.missing("ipc_msg_entry.qnum");
    return { desc, qbytes, qnum };
  },
};

export interface IpcMsg {
  mtype: bigint;
  msize: number;
}

export const IpcMsg: Codec<IpcMsg> = {
  name: "ipc_msg",
  write(w: Writer, m: IpcMsg): void {
    w.uint64(8, m.mtype, "ipc_msg.mtype");
    w.uint32(16, m.msize, "ipc_msg.msize");
  },
  read(r: Reader): IpcMsg {
    let mtype: bigint | undefined;
    let msize: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mtype = r.uint64();
          break;
        case 16:
          msize = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mtype === undefined) return r.missing("ipc_msg.mtype");
    if (msize === undefined) return r.missing("ipc_msg.msize");
    return { mtype, msize };
  },
};

/** utsns-N.img */
export interface UtsnsEntry {
  nodename: string;
  domainname: string;
}

export const UtsnsEntry: Codec<UtsnsEntry> = {
  name: "utsns_entry",
  write(w: Writer, m: UtsnsEntry): void {
    w.string(10, m.nodename, "utsns_entry.nodename");
    w.string(18, m.domainname, "utsns_entry.domainname");
  },
  read(r: Reader): UtsnsEntry {
    let nodename: string | undefined;
    let domainname: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          nodename = r.string();
          break;
        case 18:
          domainname = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (nodename === undefined) return r.missing("utsns_entry.nodename");
    if (domainname === undefined) return r.missing("utsns_entry.domainname");
    return { nodename, domainname };
  },
};

/** userns-N.img */
export interface UsernsEntry {
  uid_map: UidGidExtent[];
  gid_map: UidGidExtent[];
  /** CRIU 4.3: the namespace's own */
  binfmt_misc: BinfmtMiscEntry[];
  /** setgroups(2) fails in it */
  setgroups_denied?: boolean | undefined;
}

export const UsernsEntry: Codec<UsernsEntry> = {
  name: "userns_entry",
  write(w: Writer, m: UsernsEntry): void {
    for (const v of m.uid_map) w.message(10, UidGidExtent, v, "userns_entry.uid_map");
    for (const v of m.gid_map) w.message(18, UidGidExtent, v, "userns_entry.gid_map");
    for (const v of m.binfmt_misc) w.message(26, BinfmtMiscEntry, v, "userns_entry.binfmt_misc");
    if (m.setgroups_denied !== undefined) w.bool(8000, m.setgroups_denied, "userns_entry.setgroups_denied");
  },
  read(r: Reader): UsernsEntry {
    const uid_map: UidGidExtent[] = [];
    const gid_map: UidGidExtent[] = [];
    const binfmt_misc: BinfmtMiscEntry[] = [];
    let setgroups_denied: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          uid_map.push(r.message(UidGidExtent));
          break;
        case 18:
          gid_map.push(r.message(UidGidExtent));
          break;
        case 26:
          binfmt_misc.push(r.message(BinfmtMiscEntry));
          break;
        case 8000:
          setgroups_denied = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    return { uid_map, gid_map, binfmt_misc, setgroups_denied };
  },
};

export interface UidGidExtent {
  first: number;
  lower_first: number;
  count: number;
}

export const UidGidExtent: Codec<UidGidExtent> = {
  name: "uid_gid_extent",
  write(w: Writer, m: UidGidExtent): void {
    w.uint32(8, m.first, "uid_gid_extent.first");
    w.uint32(16, m.lower_first, "uid_gid_extent.lower_first");
    w.uint32(24, m.count, "uid_gid_extent.count");
  },
  read(r: Reader): UidGidExtent {
    let first: number | undefined;
    let lower_first: number | undefined;
    let count: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          first = r.uint32();
          break;
        case 16:
          lower_first = r.uint32();
          break;
        case 24:
          count = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (first === undefined) return r.missing("uid_gid_extent.first");
    if (lower_first === undefined) return r.missing("uid_gid_extent.lower_first");
    if (count === undefined) return r.missing("uid_gid_extent.count");
    return { first, lower_first, count };
  },
};

/** pidns-N.img */
export interface PidnsEntry {
  ext_key?: string | undefined;
}

export const PidnsEntry: Codec<PidnsEntry> = {
  name: "pidns_entry",
  write(w: Writer, m: PidnsEntry): void {
    if (m.ext_key !== undefined) w.string(10, m.ext_key, "pidns_entry.ext_key");
  },
  read(r: Reader): PidnsEntry {
    let ext_key: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          ext_key = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    return { ext_key };
  },
};

/** timens-N.img: the clocks themselves when dumped, not the offsets. */
export interface TimensEntry {
  monotonic: Timespec;
  boottime: Timespec;
}

export const TimensEntry: Codec<TimensEntry> = {
  name: "timens_entry",
  write(w: Writer, m: TimensEntry): void {
    w.message(10, Timespec, m.monotonic, "timens_entry.monotonic");
    w.message(18, Timespec, m.boottime, "timens_entry.boottime");
  },
  read(r: Reader): TimensEntry {
    let monotonic: Timespec | undefined;
    let boottime: Timespec | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          monotonic = r.message(Timespec);
          break;
        case 18:
          boottime = r.message(Timespec);
          break;
        default:
          r.skip(tag);
      }
    }
    if (monotonic === undefined) return r.missing("timens_entry.monotonic");
    if (boottime === undefined) return r.missing("timens_entry.boottime");
    return { monotonic, boottime };
  },
};

export interface Timespec {
  tv_sec: bigint;
  tv_nsec: bigint;
}

export const Timespec: Codec<Timespec> = {
  name: "timespec",
  write(w: Writer, m: Timespec): void {
    w.uint64(8, m.tv_sec, "timespec.tv_sec");
    w.uint64(16, m.tv_nsec, "timespec.tv_nsec");
  },
  read(r: Reader): Timespec {
    let tv_sec: bigint | undefined;
    let tv_nsec: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          tv_sec = r.uint64();
          break;
        case 16:
          tv_nsec = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (tv_sec === undefined) return r.missing("timespec.tv_sec");
    if (tv_nsec === undefined) return r.missing("timespec.tv_nsec");
    return { tv_sec, tv_nsec };
  },
};
