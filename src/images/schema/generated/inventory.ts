// Made from inventory.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";
import { TaskKobjIdsEntry } from "./process.ts";

export const Lsmtype = {
  NO_LSM: 0,
  SELINUX: 1,
  APPARMOR: 2,
} as const;
export type Lsmtype = (typeof Lsmtype)[keyof typeof Lsmtype];
export function isLsmtype(value: number): value is Lsmtype {
  return (value >= 0 && value <= 2);
}

/** inventory.img */
export interface InventoryEntry {
  /** 2: files begin with a common magic */
  img_version: number;
  fdinfo_per_id?: boolean | undefined;
  /** the dumper's own */
  root_ids?: TaskKobjIdsEntry | undefined;
  ns_per_id?: boolean | undefined;
  root_cg_set?: number | undefined;
  lsmtype?: Lsmtype | undefined;
  dump_uptime?: bigint | undefined;
  pre_dump_mode?: number | undefined;
  tcp_close?: boolean | undefined;
  network_lock_method?: number | undefined;
  plugins_entry?: PluginsEntry | undefined;
  /** names the firewall rules of that dump */
  dump_criu_run_id?: string | undefined;
  allow_uprobes?: boolean | undefined;
  /** CRIU 4.3: 1 where each page is compressed by itself, 2 where regions are, of so many bytes. */
  compress?: number | undefined;
  compress_region_size?: number | undefined;
  /** Of criu-ts only: who keeps the kernel noting which pages are written to since, a process by its pid and when it began. */
  tracker_pid?: number | undefined;
  tracker_start?: bigint | undefined;
}

export const InventoryEntry: Codec<InventoryEntry> = {
  name: "inventory_entry",
  write(w: Writer, m: InventoryEntry): void {
    w.uint32(8, m.img_version, "inventory_entry.img_version");
    if (m.fdinfo_per_id !== undefined) w.bool(16, m.fdinfo_per_id, "inventory_entry.fdinfo_per_id");
    if (m.root_ids !== undefined) w.message(26, TaskKobjIdsEntry, m.root_ids, "inventory_entry.root_ids");
    if (m.ns_per_id !== undefined) w.bool(32, m.ns_per_id, "inventory_entry.ns_per_id");
    if (m.root_cg_set !== undefined) w.uint32(40, m.root_cg_set, "inventory_entry.root_cg_set");
    if (m.lsmtype !== undefined) w.int32(48, m.lsmtype, "inventory_entry.lsmtype");
    if (m.dump_uptime !== undefined) w.uint64(64, m.dump_uptime, "inventory_entry.dump_uptime");
    if (m.pre_dump_mode !== undefined) w.uint32(72, m.pre_dump_mode, "inventory_entry.pre_dump_mode");
    if (m.tcp_close !== undefined) w.bool(80, m.tcp_close, "inventory_entry.tcp_close");
    if (m.network_lock_method !== undefined) w.uint32(88, m.network_lock_method, "inventory_entry.network_lock_method");
    if (m.plugins_entry !== undefined) w.message(98, PluginsEntry, m.plugins_entry, "inventory_entry.plugins_entry");
    if (m.dump_criu_run_id !== undefined) w.string(106, m.dump_criu_run_id, "inventory_entry.dump_criu_run_id");
    if (m.allow_uprobes !== undefined) w.bool(112, m.allow_uprobes, "inventory_entry.allow_uprobes");
    if (m.compress !== undefined) w.uint32(120, m.compress, "inventory_entry.compress");
    if (m.compress_region_size !== undefined) w.uint32(128, m.compress_region_size, "inventory_entry.compress_region_size");
    if (m.tracker_pid !== undefined) w.uint32(8008, m.tracker_pid, "inventory_entry.tracker_pid");
    if (m.tracker_start !== undefined) w.uint64(8016, m.tracker_start, "inventory_entry.tracker_start");
  },
  read(r: Reader): InventoryEntry {
    let img_version: number | undefined;
    let fdinfo_per_id: boolean | undefined;
    let root_ids: TaskKobjIdsEntry | undefined;
    let ns_per_id: boolean | undefined;
    let root_cg_set: number | undefined;
    let lsmtype: Lsmtype | undefined;
    let dump_uptime: bigint | undefined;
    let pre_dump_mode: number | undefined;
    let tcp_close: boolean | undefined;
    let network_lock_method: number | undefined;
    let plugins_entry: PluginsEntry | undefined;
    let dump_criu_run_id: string | undefined;
    let allow_uprobes: boolean | undefined;
    let compress: number | undefined;
    let compress_region_size: number | undefined;
    let tracker_pid: number | undefined;
    let tracker_start: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          img_version = r.uint32();
          break;
        case 16:
          fdinfo_per_id = r.bool();
          break;
        case 26:
          root_ids = r.message(TaskKobjIdsEntry);
          break;
        case 32:
          ns_per_id = r.bool();
          break;
        case 40:
          root_cg_set = r.uint32();
          break;
        case 48:
          lsmtype = r.enumeration(isLsmtype, "inventory_entry.lsmtype");
          break;
        case 64:
          dump_uptime = r.uint64();
          break;
        case 72:
          pre_dump_mode = r.uint32();
          break;
        case 80:
          tcp_close = r.bool();
          break;
        case 88:
          network_lock_method = r.uint32();
          break;
        case 98:
          plugins_entry = r.message(PluginsEntry);
          break;
        case 106:
          dump_criu_run_id = r.string();
          break;
        case 112:
          allow_uprobes = r.bool();
          break;
        case 120:
          compress = r.uint32();
          break;
        case 128:
          compress_region_size = r.uint32();
          break;
        case 8008:
          tracker_pid = r.uint32();
          break;
        case 8016:
          tracker_start = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (img_version === undefined) return r.missing("inventory_entry.img_version");
    return { img_version, fdinfo_per_id, root_ids, ns_per_id, root_cg_set, lsmtype, dump_uptime, pre_dump_mode, tcp_close, network_lock_method, plugins_entry, dump_criu_run_id, allow_uprobes, compress, compress_region_size, tracker_pid, tracker_start };
  },
};

/** A message of its own, so that "none" is not the same as "not said". */
export interface PluginsEntry {
  plugins: string[];
}

export const PluginsEntry: Codec<PluginsEntry> = {
  name: "plugins_entry",
  write(w: Writer, m: PluginsEntry): void {
    for (const v of m.plugins) w.string(98, v, "plugins_entry.plugins");
  },
  read(r: Reader): PluginsEntry {
    const plugins: string[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 98:
          plugins.push(r.string());
          break;
        default:
          r.skip(tag);
      }
    }
    return { plugins };
  },
};

/** cpuinfo.img */
export interface CpuinfoEntry {
  x86_entry: CpuinfoX86Entry[];
  ppc64_entry: CpuinfoPpc64Entry[];
  s390_entry: CpuinfoS390Entry[];
}

export const CpuinfoEntry: Codec<CpuinfoEntry> = {
  name: "cpuinfo_entry",
  write(w: Writer, m: CpuinfoEntry): void {
    for (const v of m.x86_entry) w.message(10, CpuinfoX86Entry, v, "cpuinfo_entry.x86_entry");
    for (const v of m.ppc64_entry) w.message(18, CpuinfoPpc64Entry, v, "cpuinfo_entry.ppc64_entry");
    for (const v of m.s390_entry) w.message(26, CpuinfoS390Entry, v, "cpuinfo_entry.s390_entry");
  },
  read(r: Reader): CpuinfoEntry {
    const x86_entry: CpuinfoX86Entry[] = [];
    const ppc64_entry: CpuinfoPpc64Entry[] = [];
    const s390_entry: CpuinfoS390Entry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          x86_entry.push(r.message(CpuinfoX86Entry));
          break;
        case 18:
          ppc64_entry.push(r.message(CpuinfoPpc64Entry));
          break;
        case 26:
          s390_entry.push(r.message(CpuinfoS390Entry));
          break;
        default:
          r.skip(tag);
      }
    }
    return { x86_entry, ppc64_entry, s390_entry };
  },
};

export interface CpuinfoX86Entry {
  vendor_id: CpuinfoX86EntryVendor;
  cpu_family: number;
  model: number;
  stepping: number;
  capability_ver: number;
  capability: number[];
  model_id?: string | undefined;
  xfeatures_mask?: bigint | undefined;
  xsave_size?: number | undefined;
  xsave_size_max?: number | undefined;
}

export const CpuinfoX86Entry: Codec<CpuinfoX86Entry> = {
  name: "cpuinfo_x86_entry",
  write(w: Writer, m: CpuinfoX86Entry): void {
    w.int32(8, m.vendor_id, "cpuinfo_x86_entry.vendor_id");
    w.uint32(16, m.cpu_family, "cpuinfo_x86_entry.cpu_family");
    w.uint32(24, m.model, "cpuinfo_x86_entry.model");
    w.uint32(32, m.stepping, "cpuinfo_x86_entry.stepping");
    w.uint32(40, m.capability_ver, "cpuinfo_x86_entry.capability_ver");
    w.uint32s(48, m.capability, "cpuinfo_x86_entry.capability");
    if (m.model_id !== undefined) w.string(58, m.model_id, "cpuinfo_x86_entry.model_id");
    if (m.xfeatures_mask !== undefined) w.uint64(64, m.xfeatures_mask, "cpuinfo_x86_entry.xfeatures_mask");
    if (m.xsave_size !== undefined) w.uint32(72, m.xsave_size, "cpuinfo_x86_entry.xsave_size");
    if (m.xsave_size_max !== undefined) w.uint32(80, m.xsave_size_max, "cpuinfo_x86_entry.xsave_size_max");
  },
  read(r: Reader): CpuinfoX86Entry {
    let vendor_id: CpuinfoX86EntryVendor | undefined;
    let cpu_family: number | undefined;
    let model: number | undefined;
    let stepping: number | undefined;
    let capability_ver: number | undefined;
    const capability: number[] = [];
    let model_id: string | undefined;
    let xfeatures_mask: bigint | undefined;
    let xsave_size: number | undefined;
    let xsave_size_max: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          vendor_id = r.enumeration(isCpuinfoX86EntryVendor, "cpuinfo_x86_entry.vendor_id");
          break;
        case 16:
          cpu_family = r.uint32();
          break;
        case 24:
          model = r.uint32();
          break;
        case 32:
          stepping = r.uint32();
          break;
        case 40:
          capability_ver = r.uint32();
          break;
        case 48:
          capability.push(r.uint32());
          break;
        case 50:
          r.packed(capability, r.uint32);
          break;
        case 58:
          model_id = r.string();
          break;
        case 64:
          xfeatures_mask = r.uint64();
          break;
        case 72:
          xsave_size = r.uint32();
          break;
        case 80:
          xsave_size_max = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (vendor_id === undefined) return r.missing("cpuinfo_x86_entry.vendor_id");
    if (cpu_family === undefined) return r.missing("cpuinfo_x86_entry.cpu_family");
    if (model === undefined) return r.missing("cpuinfo_x86_entry.model");
    if (stepping === undefined) return r.missing("cpuinfo_x86_entry.stepping");
    if (capability_ver === undefined) return r.missing("cpuinfo_x86_entry.capability_ver");
    return { vendor_id, cpu_family, model, stepping, capability_ver, capability, model_id, xfeatures_mask, xsave_size, xsave_size_max };
  },
};

export const CpuinfoX86EntryVendor = {
  UNKNOWN: 0,
  INTEL: 1,
  AMD: 2,
} as const;
export type CpuinfoX86EntryVendor = (typeof CpuinfoX86EntryVendor)[keyof typeof CpuinfoX86EntryVendor];
export function isCpuinfoX86EntryVendor(value: number): value is CpuinfoX86EntryVendor {
  return (value >= 0 && value <= 2);
}

export interface CpuinfoPpc64Entry {
  endian: CpuinfoPpc64EntryEndianness;
  hwcap: bigint[];
}

export const CpuinfoPpc64Entry: Codec<CpuinfoPpc64Entry> = {
  name: "cpuinfo_ppc64_entry",
  write(w: Writer, m: CpuinfoPpc64Entry): void {
    w.int32(8, m.endian, "cpuinfo_ppc64_entry.endian");
    w.uint64s(16, m.hwcap, "cpuinfo_ppc64_entry.hwcap");
  },
  read(r: Reader): CpuinfoPpc64Entry {
    let endian: CpuinfoPpc64EntryEndianness | undefined;
    const hwcap: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          endian = r.enumeration(isCpuinfoPpc64EntryEndianness, "cpuinfo_ppc64_entry.endian");
          break;
        case 16:
          hwcap.push(r.uint64());
          break;
        case 18:
          r.packed(hwcap, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    if (endian === undefined) return r.missing("cpuinfo_ppc64_entry.endian");
    return { endian, hwcap };
  },
};

export const CpuinfoPpc64EntryEndianness = {
  BIGENDIAN: 0,
  LITTLEENDIAN: 1,
} as const;
export type CpuinfoPpc64EntryEndianness = (typeof CpuinfoPpc64EntryEndianness)[keyof typeof CpuinfoPpc64EntryEndianness];
export function isCpuinfoPpc64EntryEndianness(value: number): value is CpuinfoPpc64EntryEndianness {
  return (value >= 0 && value <= 1);
}

export interface CpuinfoS390Entry {
  hwcap: bigint[];
}

export const CpuinfoS390Entry: Codec<CpuinfoS390Entry> = {
  name: "cpuinfo_s390_entry",
  write(w: Writer, m: CpuinfoS390Entry): void {
    w.uint64s(16, m.hwcap, "cpuinfo_s390_entry.hwcap");
  },
  read(r: Reader): CpuinfoS390Entry {
    const hwcap: bigint[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 16:
          hwcap.push(r.uint64());
          break;
        case 18:
          r.packed(hwcap, r.uint64);
          break;
        default:
          r.skip(tag);
      }
    }
    return { hwcap };
  },
};

/** apparmor.img */
export interface ApparmorEntry {
  namespaces: AaNamespace[];
}

export const ApparmorEntry: Codec<ApparmorEntry> = {
  name: "apparmor_entry",
  write(w: Writer, m: ApparmorEntry): void {
    for (const v of m.namespaces) w.message(10, AaNamespace, v, "apparmor_entry.namespaces");
  },
  read(r: Reader): ApparmorEntry {
    const namespaces: AaNamespace[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          namespaces.push(r.message(AaNamespace));
          break;
        default:
          r.skip(tag);
      }
    }
    return { namespaces };
  },
};

export interface AaNamespace {
  name: string;
  policies: AaPolicy[];
  namespaces: AaNamespace[];
}

export const AaNamespace: Codec<AaNamespace> = {
  name: "aa_namespace",
  write(w: Writer, m: AaNamespace): void {
    w.string(10, m.name, "aa_namespace.name");
    for (const v of m.policies) w.message(18, AaPolicy, v, "aa_namespace.policies");
    for (const v of m.namespaces) w.message(26, AaNamespace, v, "aa_namespace.namespaces");
  },
  read(r: Reader): AaNamespace {
    let name: string | undefined;
    const policies: AaPolicy[] = [];
    const namespaces: AaNamespace[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 18:
          policies.push(r.message(AaPolicy));
          break;
        case 26:
          namespaces.push(r.message(AaNamespace));
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("aa_namespace.name");
    return { name, policies, namespaces };
  },
};

export interface AaPolicy {
  name: string;
  blob: Uint8Array;
}

export const AaPolicy: Codec<AaPolicy> = {
  name: "aa_policy",
  write(w: Writer, m: AaPolicy): void {
    w.string(10, m.name, "aa_policy.name");
    w.bytes(18, m.blob, "aa_policy.blob");
  },
  read(r: Reader): AaPolicy {
    let name: string | undefined;
    let blob: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 18:
          blob = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("aa_policy.name");
    if (blob === undefined) return r.missing("aa_policy.blob");
    return { name, blob };
  },
};
