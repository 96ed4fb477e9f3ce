// Made from rpc.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export const CriuReqType = {
  EMPTY: 0,
  DUMP: 1,
  RESTORE: 2,
  CHECK: 3,
  PRE_DUMP: 4,
  PAGE_SERVER: 5,
  NOTIFY: 6,
  CPUINFO_DUMP: 7,
  CPUINFO_CHECK: 8,
  FEATURE_CHECK: 9,
  VERSION: 10,
  WAIT_PID: 11,
  PAGE_SERVER_CHLD: 12,
  SINGLE_PRE_DUMP: 13,
} as const;
export type CriuReqType = (typeof CriuReqType)[keyof typeof CriuReqType];
export function isCriuReqType(value: number): value is CriuReqType {
  return (value >= 0 && value <= 13);
}

export interface CriuReq {
  type: CriuReqType;
  opts?: CriuOpts | undefined;
  /** the answer to a notification */
  notify_success?: boolean | undefined;
  /** another request will follow on this connection */
  keep_open?: boolean | undefined;
  /** FEATURE_CHECK: those asked for */
  features?: CriuFeatures | undefined;
  /** WAIT_PID */
  pid?: number | undefined;
}

export const CriuReq: Codec<CriuReq> = {
  name: "criu_req",
  write(w: Writer, m: CriuReq): void {
    w.int32(8, m.type, "criu_req.type");
    if (m.opts !== undefined) w.message(18, CriuOpts, m.opts, "criu_req.opts");
    if (m.notify_success !== undefined) w.bool(24, m.notify_success, "criu_req.notify_success");
    if (m.keep_open !== undefined) w.bool(32, m.keep_open, "criu_req.keep_open");
    if (m.features !== undefined) w.message(42, CriuFeatures, m.features, "criu_req.features");
    if (m.pid !== undefined) w.uint32(48, m.pid, "criu_req.pid");
  },
  read(r: Reader): CriuReq {
    let type: CriuReqType | undefined;
    let opts: CriuOpts | undefined;
    let notify_success: boolean | undefined;
    let keep_open: boolean | undefined;
    let features: CriuFeatures | undefined;
    let pid: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          type = r.enumeration(isCriuReqType, "criu_req.type");
          break;
        case 18:
          opts = r.message(CriuOpts);
          break;
        case 24:
          notify_success = r.bool();
          break;
        case 32:
          keep_open = r.bool();
          break;
        case 42:
          features = r.message(CriuFeatures);
          break;
        case 48:
          pid = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (type === undefined) return r.missing("criu_req.type");
    return { type, opts, notify_success, keep_open, features, pid };
  },
};

export interface CriuResp {
  type: CriuReqType;
  success: boolean;
  dump?: CriuDumpResp | undefined;
  restore?: CriuRestoreResp | undefined;
  notify?: CriuNotify | undefined;
  ps?: CriuPageServerInfo | undefined;
  cr_errno?: number | undefined;
  features?: CriuFeatures | undefined;
  cr_errmsg?: string | undefined;
  version?: CriuVersion | undefined;
  status?: number | undefined;
}

export const CriuResp: Codec<CriuResp> = {
  name: "criu_resp",
  write(w: Writer, m: CriuResp): void {
    w.int32(8, m.type, "criu_resp.type");
    w.bool(16, m.success, "criu_resp.success");
    if (m.dump !== undefined) w.message(26, CriuDumpResp, m.dump, "criu_resp.dump");
    if (m.restore !== undefined) w.message(34, CriuRestoreResp, m.restore, "criu_resp.restore");
    if (m.notify !== undefined) w.message(42, CriuNotify, m.notify, "criu_resp.notify");
    if (m.ps !== undefined) w.message(50, CriuPageServerInfo, m.ps, "criu_resp.ps");
    if (m.cr_errno !== undefined) w.int32(56, m.cr_errno, "criu_resp.cr_errno");
    if (m.features !== undefined) w.message(66, CriuFeatures, m.features, "criu_resp.features");
    if (m.cr_errmsg !== undefined) w.string(74, m.cr_errmsg, "criu_resp.cr_errmsg");
    if (m.version !== undefined) w.message(82, CriuVersion, m.version, "criu_resp.version");
    if (m.status !== undefined) w.int32(88, m.status, "criu_resp.status");
  },
  read(r: Reader): CriuResp {
    let type: CriuReqType | undefined;
    let success: boolean | undefined;
    let dump: CriuDumpResp | undefined;
    let restore: CriuRestoreResp | undefined;
    let notify: CriuNotify | undefined;
    let ps: CriuPageServerInfo | undefined;
    let cr_errno: number | undefined;
    let features: CriuFeatures | undefined;
    let cr_errmsg: string | undefined;
    let version: CriuVersion | undefined;
    let status: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          type = r.enumeration(isCriuReqType, "criu_resp.type");
          break;
        case 16:
          success = r.bool();
          break;
        case 26:
          dump = r.message(CriuDumpResp);
          break;
        case 34:
          restore = r.message(CriuRestoreResp);
          break;
        case 42:
          notify = r.message(CriuNotify);
          break;
        case 50:
          ps = r.message(CriuPageServerInfo);
          break;
        case 56:
          cr_errno = r.int32();
          break;
        case 66:
          features = r.message(CriuFeatures);
          break;
        case 74:
          cr_errmsg = r.string();
          break;
        case 82:
          version = r.message(CriuVersion);
          break;
        case 88:
          status = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (type === undefined) return r.missing("criu_resp.type");
    if (success === undefined) return r.missing("criu_resp.success");
    return { type, success, dump, restore, notify, ps, cr_errno, features, cr_errmsg, version, status };
  },
};

export interface CriuDumpResp {
  restored?: boolean | undefined;
}

export const CriuDumpResp: Codec<CriuDumpResp> = {
  name: "criu_dump_resp",
  write(w: Writer, m: CriuDumpResp): void {
    if (m.restored !== undefined) w.bool(8, m.restored, "criu_dump_resp.restored");
  },
  read(r: Reader): CriuDumpResp {
    let restored: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          restored = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    return { restored };
  },
};

export interface CriuRestoreResp {
  pid: number;
}

export const CriuRestoreResp: Codec<CriuRestoreResp> = {
  name: "criu_restore_resp",
  write(w: Writer, m: CriuRestoreResp): void {
    w.int32(8, m.pid, "criu_restore_resp.pid");
  },
  read(r: Reader): CriuRestoreResp {
    let pid: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          pid = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (pid === undefined) return r.missing("criu_restore_resp.pid");
    return { pid };
  },
};

export interface CriuNotify {
  script?: string | undefined;
  pid?: number | undefined;
}

export const CriuNotify: Codec<CriuNotify> = {
  name: "criu_notify",
  write(w: Writer, m: CriuNotify): void {
    if (m.script !== undefined) w.string(10, m.script, "criu_notify.script");
    if (m.pid !== undefined) w.int32(16, m.pid, "criu_notify.pid");
  },
  read(r: Reader): CriuNotify {
    let script: string | undefined;
    let pid: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          script = r.string();
          break;
        case 16:
          pid = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    return { script, pid };
  },
};

export interface CriuFeatures {
  mem_track?: boolean | undefined;
  lazy_pages?: boolean | undefined;
  pidfd_store?: boolean | undefined;
  /** CRIU 4.3 */
  mem_compression?: boolean | undefined;
}

export const CriuFeatures: Codec<CriuFeatures> = {
  name: "criu_features",
  write(w: Writer, m: CriuFeatures): void {
    if (m.mem_track !== undefined) w.bool(8, m.mem_track, "criu_features.mem_track");
    if (m.lazy_pages !== undefined) w.bool(16, m.lazy_pages, "criu_features.lazy_pages");
    if (m.pidfd_store !== undefined) w.bool(24, m.pidfd_store, "criu_features.pidfd_store");
    if (m.mem_compression !== undefined) w.bool(32, m.mem_compression, "criu_features.mem_compression");
  },
  read(r: Reader): CriuFeatures {
    let mem_track: boolean | undefined;
    let lazy_pages: boolean | undefined;
    let pidfd_store: boolean | undefined;
    let mem_compression: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mem_track = r.bool();
          break;
        case 16:
          lazy_pages = r.bool();
          break;
        case 24:
          pidfd_store = r.bool();
          break;
        case 32:
          mem_compression = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    return { mem_track, lazy_pages, pidfd_store, mem_compression };
  },
};

export interface CriuVersion {
  major_number: number;
  minor_number: number;
  gitid?: string | undefined;
  sublevel?: number | undefined;
  extra?: number | undefined;
  name?: string | undefined;
}

export const CriuVersion: Codec<CriuVersion> = {
  name: "criu_version",
  write(w: Writer, m: CriuVersion): void {
    w.int32(8, m.major_number, "criu_version.major_number");
    w.int32(16, m.minor_number, "criu_version.minor_number");
    if (m.gitid !== undefined) w.string(26, m.gitid, "criu_version.gitid");
    if (m.sublevel !== undefined) w.int32(32, m.sublevel, "criu_version.sublevel");
    if (m.extra !== undefined) w.int32(40, m.extra, "criu_version.extra");
    if (m.name !== undefined) w.string(50, m.name, "criu_version.name");
  },
  read(r: Reader): CriuVersion {
    let major_number: number | undefined;
    let minor_number: number | undefined;
    let gitid: string | undefined;
    let sublevel: number | undefined;
    let extra: number | undefined;
    let name: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          major_number = r.int32();
          break;
        case 16:
          minor_number = r.int32();
          break;
        case 26:
          gitid = r.string();
          break;
        case 32:
          sublevel = r.int32();
          break;
        case 40:
          extra = r.int32();
          break;
        case 50:
          name = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (major_number === undefined) return r.missing("criu_version.major_number");
    if (minor_number === undefined) return r.missing("criu_version.minor_number");
    return { major_number, minor_number, gitid, sublevel, extra, name };
  },
};

export interface CriuPageServerInfo {
  address?: string | undefined;
  port?: number | undefined;
  pid?: number | undefined;
  fd?: number | undefined;
}

export const CriuPageServerInfo: Codec<CriuPageServerInfo> = {
  name: "criu_page_server_info",
  write(w: Writer, m: CriuPageServerInfo): void {
    if (m.address !== undefined) w.string(10, m.address, "criu_page_server_info.address");
    if (m.port !== undefined) w.int32(16, m.port, "criu_page_server_info.port");
    if (m.pid !== undefined) w.int32(24, m.pid, "criu_page_server_info.pid");
    if (m.fd !== undefined) w.int32(32, m.fd, "criu_page_server_info.fd");
  },
  read(r: Reader): CriuPageServerInfo {
    let address: string | undefined;
    let port: number | undefined;
    let pid: number | undefined;
    let fd: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          address = r.string();
          break;
        case 16:
          port = r.int32();
          break;
        case 24:
          pid = r.int32();
          break;
        case 32:
          fd = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    return { address, port, pid, fd };
  },
};

export const CriuCgMode = {
  IGNORE: 0,
  CG_NONE: 1,
  PROPS: 2,
  SOFT: 3,
  FULL: 4,
  STRICT: 5,
  DEFAULT: 6,
} as const;
export type CriuCgMode = (typeof CriuCgMode)[keyof typeof CriuCgMode];
export function isCriuCgMode(value: number): value is CriuCgMode {
  return (value >= 0 && value <= 6);
}

export const CriuNetworkLockMethod = {
  IPTABLES: 1,
  NFTABLES: 2,
  SKIP: 3,
} as const;
export type CriuNetworkLockMethod = (typeof CriuNetworkLockMethod)[keyof typeof CriuNetworkLockMethod];
export function isCriuNetworkLockMethod(value: number): value is CriuNetworkLockMethod {
  return (value >= 1 && value <= 3);
}

export const CriuPreDumpMode = {
  SPLICE: 1,
  VM_READ: 2,
} as const;
export type CriuPreDumpMode = (typeof CriuPreDumpMode)[keyof typeof CriuPreDumpMode];
export function isCriuPreDumpMode(value: number): value is CriuPreDumpMode {
  return (value >= 1 && value <= 2);
}

export const CriuImageIoMode = {
  IMAGE_IO_WRITEBACK: 0,
  IMAGE_IO_DIRECT: 1,
} as const;
export type CriuImageIoMode = (typeof CriuImageIoMode)[keyof typeof CriuImageIoMode];
export function isCriuImageIoMode(value: number): value is CriuImageIoMode {
  return (value >= 0 && value <= 1);
}

export interface CriuOpts {
  images_dir_fd: number;
  /** where images_dir_fd is -1 */
  images_dir?: string | undefined;
  /** none: the one who asks */
  pid?: number | undefined;
  leave_running?: boolean | undefined;
  ext_unix_sk?: boolean | undefined;
  tcp_established?: boolean | undefined;
  evasive_devices?: boolean | undefined;
  shell_job?: boolean | undefined;
  file_locks?: boolean | undefined;
  log_level?: number | undefined;
  /** a plain name */
  log_file?: string | undefined;
  ps?: CriuPageServerInfo | undefined;
  notify_scripts?: boolean | undefined;
  root?: string | undefined;
  parent_img?: string | undefined;
  track_mem?: boolean | undefined;
  auto_dedup?: boolean | undefined;
  work_dir_fd?: number | undefined;
  link_remap?: boolean | undefined;
  /** older clients; external now */
  veths: CriuVethPair[];
  cpu_cap?: number | undefined;
  force_irmap?: boolean | undefined;
  exec_cmd: string[];
  /** older clients; external now */
  ext_mnt: ExtMountMap[];
  /** older clients; manage_cgroups_mode now */
  manage_cgroups?: boolean | undefined;
  cg_root: CgroupRoot[];
  /** swrk alone */
  rst_sibling?: boolean | undefined;
  /** swrk alone */
  inherit_fd: InheritFd[];
  auto_ext_mnt?: boolean | undefined;
  ext_sharing?: boolean | undefined;
  ext_masters?: boolean | undefined;
  skip_mnt: string[];
  enable_fs: string[];
  /** older clients; external now */
  unix_sk_ino: UnixSk[];
  manage_cgroups_mode?: CriuCgMode | undefined;
  ghost_limit?: number | undefined;
  irmap_scan_paths: string[];
  external: string[];
  empty_ns?: number | undefined;
  join_ns: JoinNamespace[];
  cgroup_props?: string | undefined;
  cgroup_props_file?: string | undefined;
  cgroup_dump_controller: string[];
  freeze_cgroup?: string | undefined;
  timeout?: number | undefined;
  tcp_skip_in_flight?: boolean | undefined;
  weak_sysctls?: boolean | undefined;
  lazy_pages?: boolean | undefined;
  status_fd?: number | undefined;
  orphan_pts_master?: boolean | undefined;
  config_file?: string | undefined;
  tcp_close?: boolean | undefined;
  lsm_profile?: string | undefined;
  tls_cacert?: string | undefined;
  tls_cacrl?: string | undefined;
  tls_cert?: string | undefined;
  tls_key?: string | undefined;
  tls?: boolean | undefined;
  tls_no_cn_verify?: boolean | undefined;
  cgroup_yard?: string | undefined;
  pre_dump_mode?: CriuPreDumpMode | undefined;
  pidfd_store_sk?: number | undefined;
  lsm_mount_context?: string | undefined;
  network_lock?: CriuNetworkLockMethod | undefined;
  mntns_compat_mode?: boolean | undefined;
  skip_file_rwx_check?: boolean | undefined;
  unprivileged?: boolean | undefined;
  leave_stopped?: boolean | undefined;
  display_stats?: boolean | undefined;
  log_to_stderr?: boolean | undefined;
  /** CRIU 4.3 */
  image_io_mode?: CriuImageIoMode | undefined;
  /** 1: page by page; 2: by regions */
  compress?: number | undefined;
  compress_acceleration?: number | undefined;
  compress_region_size?: number | undefined;
  decompress_threads?: number | undefined;
}

export const CriuOpts: Codec<CriuOpts> = {
  name: "criu_opts",
  write(w: Writer, m: CriuOpts): void {
    w.int32(8, m.images_dir_fd, "criu_opts.images_dir_fd");
    if (m.pid !== undefined) w.int32(16, m.pid, "criu_opts.pid");
    if (m.leave_running !== undefined) w.bool(24, m.leave_running, "criu_opts.leave_running");
    if (m.ext_unix_sk !== undefined) w.bool(32, m.ext_unix_sk, "criu_opts.ext_unix_sk");
    if (m.tcp_established !== undefined) w.bool(40, m.tcp_established, "criu_opts.tcp_established");
    if (m.evasive_devices !== undefined) w.bool(48, m.evasive_devices, "criu_opts.evasive_devices");
    if (m.shell_job !== undefined) w.bool(56, m.shell_job, "criu_opts.shell_job");
    if (m.file_locks !== undefined) w.bool(64, m.file_locks, "criu_opts.file_locks");
    if (m.log_level !== undefined) w.int32(72, m.log_level, "criu_opts.log_level");
    if (m.log_file !== undefined) w.string(82, m.log_file, "criu_opts.log_file");
    if (m.ps !== undefined) w.message(90, CriuPageServerInfo, m.ps, "criu_opts.ps");
    if (m.notify_scripts !== undefined) w.bool(96, m.notify_scripts, "criu_opts.notify_scripts");
    if (m.root !== undefined) w.string(106, m.root, "criu_opts.root");
    if (m.parent_img !== undefined) w.string(114, m.parent_img, "criu_opts.parent_img");
    if (m.track_mem !== undefined) w.bool(120, m.track_mem, "criu_opts.track_mem");
    if (m.auto_dedup !== undefined) w.bool(128, m.auto_dedup, "criu_opts.auto_dedup");
    if (m.work_dir_fd !== undefined) w.int32(136, m.work_dir_fd, "criu_opts.work_dir_fd");
    if (m.link_remap !== undefined) w.bool(144, m.link_remap, "criu_opts.link_remap");
    for (const v of m.veths) w.message(154, CriuVethPair, v, "criu_opts.veths");
    if (m.cpu_cap !== undefined) w.uint32(160, m.cpu_cap, "criu_opts.cpu_cap");
    if (m.force_irmap !== undefined) w.bool(168, m.force_irmap, "criu_opts.force_irmap");
    for (const v of m.exec_cmd) w.string(178, v, "criu_opts.exec_cmd");
    for (const v of m.ext_mnt) w.message(186, ExtMountMap, v, "criu_opts.ext_mnt");
    if (m.manage_cgroups !== undefined) w.bool(192, m.manage_cgroups, "criu_opts.manage_cgroups");
    for (const v of m.cg_root) w.message(202, CgroupRoot, v, "criu_opts.cg_root");
    if (m.rst_sibling !== undefined) w.bool(208, m.rst_sibling, "criu_opts.rst_sibling");
    for (const v of m.inherit_fd) w.message(218, InheritFd, v, "criu_opts.inherit_fd");
    if (m.auto_ext_mnt !== undefined) w.bool(224, m.auto_ext_mnt, "criu_opts.auto_ext_mnt");
    if (m.ext_sharing !== undefined) w.bool(232, m.ext_sharing, "criu_opts.ext_sharing");
    if (m.ext_masters !== undefined) w.bool(240, m.ext_masters, "criu_opts.ext_masters");
    for (const v of m.skip_mnt) w.string(250, v, "criu_opts.skip_mnt");
    for (const v of m.enable_fs) w.string(258, v, "criu_opts.enable_fs");
    for (const v of m.unix_sk_ino) w.message(266, UnixSk, v, "criu_opts.unix_sk_ino");
    if (m.manage_cgroups_mode !== undefined) w.int32(272, m.manage_cgroups_mode, "criu_opts.manage_cgroups_mode");
    if (m.ghost_limit !== undefined) w.uint32(280, m.ghost_limit, "criu_opts.ghost_limit");
    for (const v of m.irmap_scan_paths) w.string(290, v, "criu_opts.irmap_scan_paths");
    for (const v of m.external) w.string(298, v, "criu_opts.external");
    if (m.empty_ns !== undefined) w.uint32(304, m.empty_ns, "criu_opts.empty_ns");
    for (const v of m.join_ns) w.message(314, JoinNamespace, v, "criu_opts.join_ns");
    if (m.cgroup_props !== undefined) w.string(330, m.cgroup_props, "criu_opts.cgroup_props");
    if (m.cgroup_props_file !== undefined) w.string(338, m.cgroup_props_file, "criu_opts.cgroup_props_file");
    for (const v of m.cgroup_dump_controller) w.string(346, v, "criu_opts.cgroup_dump_controller");
    if (m.freeze_cgroup !== undefined) w.string(354, m.freeze_cgroup, "criu_opts.freeze_cgroup");
    if (m.timeout !== undefined) w.uint32(360, m.timeout, "criu_opts.timeout");
    if (m.tcp_skip_in_flight !== undefined) w.bool(368, m.tcp_skip_in_flight, "criu_opts.tcp_skip_in_flight");
    if (m.weak_sysctls !== undefined) w.bool(376, m.weak_sysctls, "criu_opts.weak_sysctls");
    if (m.lazy_pages !== undefined) w.bool(384, m.lazy_pages, "criu_opts.lazy_pages");
    if (m.status_fd !== undefined) w.int32(392, m.status_fd, "criu_opts.status_fd");
    if (m.orphan_pts_master !== undefined) w.bool(400, m.orphan_pts_master, "criu_opts.orphan_pts_master");
    if (m.config_file !== undefined) w.string(410, m.config_file, "criu_opts.config_file");
    if (m.tcp_close !== undefined) w.bool(416, m.tcp_close, "criu_opts.tcp_close");
    if (m.lsm_profile !== undefined) w.string(426, m.lsm_profile, "criu_opts.lsm_profile");
    if (m.tls_cacert !== undefined) w.string(434, m.tls_cacert, "criu_opts.tls_cacert");
    if (m.tls_cacrl !== undefined) w.string(442, m.tls_cacrl, "criu_opts.tls_cacrl");
    if (m.tls_cert !== undefined) w.string(450, m.tls_cert, "criu_opts.tls_cert");
    if (m.tls_key !== undefined) w.string(458, m.tls_key, "criu_opts.tls_key");
    if (m.tls !== undefined) w.bool(464, m.tls, "criu_opts.tls");
    if (m.tls_no_cn_verify !== undefined) w.bool(472, m.tls_no_cn_verify, "criu_opts.tls_no_cn_verify");
    if (m.cgroup_yard !== undefined) w.string(482, m.cgroup_yard, "criu_opts.cgroup_yard");
    if (m.pre_dump_mode !== undefined) w.int32(488, m.pre_dump_mode, "criu_opts.pre_dump_mode");
    if (m.pidfd_store_sk !== undefined) w.int32(496, m.pidfd_store_sk, "criu_opts.pidfd_store_sk");
    if (m.lsm_mount_context !== undefined) w.string(506, m.lsm_mount_context, "criu_opts.lsm_mount_context");
    if (m.network_lock !== undefined) w.int32(512, m.network_lock, "criu_opts.network_lock");
    if (m.mntns_compat_mode !== undefined) w.bool(520, m.mntns_compat_mode, "criu_opts.mntns_compat_mode");
    if (m.skip_file_rwx_check !== undefined) w.bool(528, m.skip_file_rwx_check, "criu_opts.skip_file_rwx_check");
    if (m.unprivileged !== undefined) w.bool(536, m.unprivileged, "criu_opts.unprivileged");
    if (m.images_dir !== undefined) w.string(546, m.images_dir, "criu_opts.images_dir");
    if (m.leave_stopped !== undefined) w.bool(552, m.leave_stopped, "criu_opts.leave_stopped");
    if (m.display_stats !== undefined) w.bool(560, m.display_stats, "criu_opts.display_stats");
    if (m.log_to_stderr !== undefined) w.bool(568, m.log_to_stderr, "criu_opts.log_to_stderr");
    if (m.image_io_mode !== undefined) w.int32(576, m.image_io_mode, "criu_opts.image_io_mode");
    if (m.compress !== undefined) w.uint32(584, m.compress, "criu_opts.compress");
    if (m.compress_acceleration !== undefined) w.uint32(592, m.compress_acceleration, "criu_opts.compress_acceleration");
    if (m.compress_region_size !== undefined) w.uint32(600, m.compress_region_size, "criu_opts.compress_region_size");
    if (m.decompress_threads !== undefined) w.uint32(608, m.decompress_threads, "criu_opts.decompress_threads");
  },
  read(r: Reader): CriuOpts {
    let images_dir_fd: number | undefined;
    let pid: number | undefined;
    let leave_running: boolean | undefined;
    let ext_unix_sk: boolean | undefined;
    let tcp_established: boolean | undefined;
    let evasive_devices: boolean | undefined;
    let shell_job: boolean | undefined;
    let file_locks: boolean | undefined;
    let log_level: number | undefined;
    let log_file: string | undefined;
    let ps: CriuPageServerInfo | undefined;
    let notify_scripts: boolean | undefined;
    let root: string | undefined;
    let parent_img: string | undefined;
    let track_mem: boolean | undefined;
    let auto_dedup: boolean | undefined;
    let work_dir_fd: number | undefined;
    let link_remap: boolean | undefined;
    const veths: CriuVethPair[] = [];
    let cpu_cap: number | undefined;
    let force_irmap: boolean | undefined;
    const exec_cmd: string[] = [];
    const ext_mnt: ExtMountMap[] = [];
    let manage_cgroups: boolean | undefined;
    const cg_root: CgroupRoot[] = [];
    let rst_sibling: boolean | undefined;
    const inherit_fd: InheritFd[] = [];
    let auto_ext_mnt: boolean | undefined;
    let ext_sharing: boolean | undefined;
    let ext_masters: boolean | undefined;
    const skip_mnt: string[] = [];
    const enable_fs: string[] = [];
    const unix_sk_ino: UnixSk[] = [];
    let manage_cgroups_mode: CriuCgMode | undefined;
    let ghost_limit: number | undefined;
    const irmap_scan_paths: string[] = [];
    const external: string[] = [];
    let empty_ns: number | undefined;
    const join_ns: JoinNamespace[] = [];
    let cgroup_props: string | undefined;
    let cgroup_props_file: string | undefined;
    const cgroup_dump_controller: string[] = [];
    let freeze_cgroup: string | undefined;
    let timeout: number | undefined;
    let tcp_skip_in_flight: boolean | undefined;
    let weak_sysctls: boolean | undefined;
    let lazy_pages: boolean | undefined;
    let status_fd: number | undefined;
    let orphan_pts_master: boolean | undefined;
    let config_file: string | undefined;
    let tcp_close: boolean | undefined;
    let lsm_profile: string | undefined;
    let tls_cacert: string | undefined;
    let tls_cacrl: string | undefined;
    let tls_cert: string | undefined;
    let tls_key: string | undefined;
    let tls: boolean | undefined;
    let tls_no_cn_verify: boolean | undefined;
    let cgroup_yard: string | undefined;
    let pre_dump_mode: CriuPreDumpMode | undefined;
    let pidfd_store_sk: number | undefined;
    let lsm_mount_context: string | undefined;
    let network_lock: CriuNetworkLockMethod | undefined;
    let mntns_compat_mode: boolean | undefined;
    let skip_file_rwx_check: boolean | undefined;
    let unprivileged: boolean | undefined;
    let images_dir: string | undefined;
    let leave_stopped: boolean | undefined;
    let display_stats: boolean | undefined;
    let log_to_stderr: boolean | undefined;
    let image_io_mode: CriuImageIoMode | undefined;
    let compress: number | undefined;
    let compress_acceleration: number | undefined;
    let compress_region_size: number | undefined;
    let decompress_threads: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          images_dir_fd = r.int32();
          break;
        case 16:
          pid = r.int32();
          break;
        case 24:
          leave_running = r.bool();
          break;
        case 32:
          ext_unix_sk = r.bool();
          break;
        case 40:
          tcp_established = r.bool();
          break;
        case 48:
          evasive_devices = r.bool();
          break;
        case 56:
          shell_job = r.bool();
          break;
        case 64:
          file_locks = r.bool();
          break;
        case 72:
          log_level = r.int32();
          break;
        case 82:
          log_file = r.string();
          break;
        case 90:
          ps = r.message(CriuPageServerInfo);
          break;
        case 96:
          notify_scripts = r.bool();
          break;
        case 106:
          root = r.string();
          break;
        case 114:
          parent_img = r.string();
          break;
        case 120:
          track_mem = r.bool();
          break;
        case 128:
          auto_dedup = r.bool();
          break;
        case 136:
          work_dir_fd = r.int32();
          break;
        case 144:
          link_remap = r.bool();
          break;
        case 154:
          veths.push(r.message(CriuVethPair));
          break;
        case 160:
          cpu_cap = r.uint32();
          break;
        case 168:
          force_irmap = r.bool();
          break;
        case 178:
          exec_cmd.push(r.string());
          break;
        case 186:
          ext_mnt.push(r.message(ExtMountMap));
          break;
        case 192:
          manage_cgroups = r.bool();
          break;
        case 202:
          cg_root.push(r.message(CgroupRoot));
          break;
        case 208:
          rst_sibling = r.bool();
          break;
        case 218:
          inherit_fd.push(r.message(InheritFd));
          break;
        case 224:
          auto_ext_mnt = r.bool();
          break;
        case 232:
          ext_sharing = r.bool();
          break;
        case 240:
          ext_masters = r.bool();
          break;
        case 250:
          skip_mnt.push(r.string());
          break;
        case 258:
          enable_fs.push(r.string());
          break;
        case 266:
          unix_sk_ino.push(r.message(UnixSk));
          break;
        case 272:
          manage_cgroups_mode = r.enumeration(isCriuCgMode, "criu_opts.manage_cgroups_mode");
          break;
        case 280:
          ghost_limit = r.uint32();
          break;
        case 290:
          irmap_scan_paths.push(r.string());
          break;
        case 298:
          external.push(r.string());
          break;
        case 304:
          empty_ns = r.uint32();
          break;
        case 314:
          join_ns.push(r.message(JoinNamespace));
          break;
        case 330:
          cgroup_props = r.string();
          break;
        case 338:
          cgroup_props_file = r.string();
          break;
        case 346:
          cgroup_dump_controller.push(r.string());
          break;
        case 354:
          freeze_cgroup = r.string();
          break;
        case 360:
          timeout = r.uint32();
          break;
        case 368:
          tcp_skip_in_flight = r.bool();
          break;
        case 376:
          weak_sysctls = r.bool();
          break;
        case 384:
          lazy_pages = r.bool();
          break;
        case 392:
          status_fd = r.int32();
          break;
        case 400:
          orphan_pts_master = r.bool();
          break;
        case 410:
          config_file = r.string();
          break;
        case 416:
          tcp_close = r.bool();
          break;
        case 426:
          lsm_profile = r.string();
          break;
        case 434:
          tls_cacert = r.string();
          break;
        case 442:
          tls_cacrl = r.string();
          break;
        case 450:
          tls_cert = r.string();
          break;
        case 458:
          tls_key = r.string();
          break;
        case 464:
          tls = r.bool();
          break;
        case 472:
          tls_no_cn_verify = r.bool();
          break;
        case 482:
          cgroup_yard = r.string();
          break;
        case 488:
          pre_dump_mode = r.enumeration(isCriuPreDumpMode, "criu_opts.pre_dump_mode");
          break;
        case 496:
          pidfd_store_sk = r.int32();
          break;
        case 506:
          lsm_mount_context = r.string();
          break;
        case 512:
          network_lock = r.enumeration(isCriuNetworkLockMethod, "criu_opts.network_lock");
          break;
        case 520:
          mntns_compat_mode = r.bool();
          break;
        case 528:
          skip_file_rwx_check = r.bool();
          break;
        case 536:
          unprivileged = r.bool();
          break;
        case 546:
          images_dir = r.string();
          break;
        case 552:
          leave_stopped = r.bool();
          break;
        case 560:
          display_stats = r.bool();
          break;
        case 568:
          log_to_stderr = r.bool();
          break;
        case 576:
          image_io_mode = r.enumeration(isCriuImageIoMode, "criu_opts.image_io_mode");
          break;
        case 584:
          compress = r.uint32();
          break;
        case 592:
          compress_acceleration = r.uint32();
          break;
        case 600:
          compress_region_size = r.uint32();
          break;
        case 608:
          decompress_threads = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (images_dir_fd === undefined) return r.missing("criu_opts.images_dir_fd");
    return { images_dir_fd, images_dir, pid, leave_running, ext_unix_sk, tcp_established, evasive_devices, shell_job, file_locks, log_level, log_file, ps, notify_scripts, root, parent_img, track_mem, auto_dedup, work_dir_fd, link_remap, veths, cpu_cap, force_irmap, exec_cmd, ext_mnt, manage_cgroups, cg_root, rst_sibling, inherit_fd, auto_ext_mnt, ext_sharing, ext_masters, skip_mnt, enable_fs, unix_sk_ino, manage_cgroups_mode, ghost_limit, irmap_scan_paths, external, empty_ns, join_ns, cgroup_props, cgroup_props_file, cgroup_dump_controller, freeze_cgroup, timeout, tcp_skip_in_flight, weak_sysctls, lazy_pages, status_fd, orphan_pts_master, config_file, tcp_close, lsm_profile, tls_cacert, tls_cacrl, tls_cert, tls_key, tls, tls_no_cn_verify, cgroup_yard, pre_dump_mode, pidfd_store_sk, lsm_mount_context, network_lock, mntns_compat_mode, skip_file_rwx_check, unprivileged, leave_stopped, display_stats, log_to_stderr, image_io_mode, compress, compress_acceleration, compress_region_size, decompress_threads };
  },
};

export interface CriuVethPair {
  if_in: string;
  if_out: string;
}

export const CriuVethPair: Codec<CriuVethPair> = {
  name: "criu_veth_pair",
  write(w: Writer, m: CriuVethPair): void {
    w.string(10, m.if_in, "criu_veth_pair.if_in");
    w.string(18, m.if_out, "criu_veth_pair.if_out");
  },
  read(r: Reader): CriuVethPair {
    let if_in: string | undefined;
    let if_out: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          if_in = r.string();
          break;
        case 18:
          if_out = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (if_in === undefined) return r.missing("criu_veth_pair.if_in");
    if (if_out === undefined) return r.missing("criu_veth_pair.if_out");
    return { if_in, if_out };
  },
};

export interface ExtMountMap {
  key: string;
  val: string;
}

export const ExtMountMap: Codec<ExtMountMap> = {
  name: "ext_mount_map",
  write(w: Writer, m: ExtMountMap): void {
    w.string(10, m.key, "ext_mount_map.key");
    w.string(18, m.val, "ext_mount_map.val");
  },
  read(r: Reader): ExtMountMap {
    let key: string | undefined;
    let val: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          key = r.string();
          break;
        case 18:
          val = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (key === undefined) return r.missing("ext_mount_map.key");
    if (val === undefined) return r.missing("ext_mount_map.val");
    return { key, val };
  },
};

export interface JoinNamespace {
  ns: string;
  ns_file: string;
  extra_opt?: string | undefined;
}

export const JoinNamespace: Codec<JoinNamespace> = {
  name: "join_namespace",
  write(w: Writer, m: JoinNamespace): void {
    w.string(10, m.ns, "join_namespace.ns");
    w.string(18, m.ns_file, "join_namespace.ns_file");
    if (m.extra_opt !== undefined) w.string(26, m.extra_opt, "join_namespace.extra_opt");
  },
  read(r: Reader): JoinNamespace {
    let ns: string | undefined;
    let ns_file: string | undefined;
    let extra_opt: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          ns = r.string();
          break;
        case 18:
          ns_file = r.string();
          break;
        case 26:
          extra_opt = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (ns === undefined) return r.missing("join_namespace.ns");
    if (ns_file === undefined) return r.missing("join_namespace.ns_file");
    return { ns, ns_file, extra_opt };
  },
};

export interface InheritFd {
  key: string;
  fd: number;
}

export const InheritFd: Codec<InheritFd> = {
  name: "inherit_fd",
  write(w: Writer, m: InheritFd): void {
    w.string(10, m.key, "inherit_fd.key");
    w.int32(16, m.fd, "inherit_fd.fd");
  },
  read(r: Reader): InheritFd {
    let key: string | undefined;
    let fd: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          key = r.string();
          break;
        case 16:
          fd = r.int32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (key === undefined) return r.missing("inherit_fd.key");
    if (fd === undefined) return r.missing("inherit_fd.fd");
    return { key, fd };
  },
};

export interface CgroupRoot {
  ctrl?: string | undefined;
  path: string;
}

export const CgroupRoot: Codec<CgroupRoot> = {
  name: "cgroup_root",
  write(w: Writer, m: CgroupRoot): void {
    if (m.ctrl !== undefined) w.string(10, m.ctrl, "cgroup_root.ctrl");
    w.string(18, m.path, "cgroup_root.path");
  },
  read(r: Reader): CgroupRoot {
    let ctrl: string | undefined;
    let path: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          ctrl = r.string();
          break;
        case 18:
          path = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (path === undefined) return r.missing("cgroup_root.path");
    return { ctrl, path };
  },
};

export interface UnixSk {
  inode: number;
}

export const UnixSk: Codec<UnixSk> = {
  name: "unix_sk",
  write(w: Writer, m: UnixSk): void {
    w.uint32(8, m.inode, "unix_sk.inode");
  },
  read(r: Reader): UnixSk {
    let inode: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          inode = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (inode === undefined) return r.missing("unix_sk.inode");
    return { inode };
  },
};
