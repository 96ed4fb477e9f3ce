// Made from memory.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

/** mm-PID.img */
export interface MmEntry {
  mm_start_code: bigint;
  mm_end_code: bigint;
  mm_start_data: bigint;
  mm_end_data: bigint;
  mm_start_stack: bigint;
  mm_start_brk: bigint;
  mm_brk: bigint;
  mm_arg_start: bigint;
  mm_arg_end: bigint;
  mm_env_start: bigint;
  mm_env_end: bigint;
  exe_file_id: number;
  mm_saved_auxv: bigint[];
  vmas: VmaEntry[];
  dumpable?: number | undefined;
  aios: AioRingEntry[];
  thp_disabled?: boolean | undefined;
  /** Of criu-ts only: what follows the first 44 words, which are all that CRIU's images hold. */
  mm_saved_auxv_rest: bigint[];
  /** MCL_FUTURE, MCL_ONFAULT: what mlockall(2) was told of mappings to come. */
  lock_future?: number | undefined;
  /** PR_SET_MDWE: what memory may not become. */
  mdwe?: number | undefined;
  /** PR_SET_MEMORY_MERGE; the flags of PR_SET_THP_DISABLE; /proc/PID/coredump_filter, where that is not the usual one. */
  memory_merge?: boolean | undefined;
  thp_disable_flags?: number | undefined;
  coredump_filter?: number | undefined;
}

export const MmEntry: Codec<MmEntry> = {
  name: "mm_entry",
  write(w: Writer, m: MmEntry): void {
    w.uint64(8, m.mm_start_code, "mm_entry.mm_start_code");
    w.uint64(16, m.mm_end_code, "mm_entry.mm_end_code");
    w.uint64(24, m.mm_start_data, "mm_entry.mm_start_data");
    w.uint64(32, m.mm_end_data, "mm_entry.mm_end_data");
    w.uint64(40, m.mm_start_stack, "mm_entry.mm_start_stack");
    w.uint64(48, m.mm_start_brk, "mm_entry.mm_start_brk");
    w.uint64(56, m.mm_brk, "mm_entry.mm_brk");
    w.uint64(64, m.mm_arg_start, "mm_entry.mm_arg_start");
    w.uint64(72, m.mm_arg_end, "mm_entry.mm_arg_end");
    w.uint64(80, m.mm_env_start, "mm_entry.mm_env_start");
    w.uint64(88, m.mm_env_end, "mm_entry.mm_env_end");
    w.uint32(96, m.exe_file_id, "mm_entry.exe_file_id");
    w.uint64s(104, m.mm_saved_auxv, "mm_entry.mm_saved_auxv");
    for (const v of m.vmas) w.message(114, VmaEntry, v, "mm_entry.vmas");
    if (m.dumpable !== undefined) w.int32(120, m.dumpable, "mm_entry.dumpable");
    for (const v of m.aios) w.message(130, AioRingEntry, v, "mm_entry.aios");
    if (m.thp_disabled !== undefined) w.bool(136, m.thp_disabled, "mm_entry.thp_disabled");
    w.uint64s(8008, m.mm_saved_auxv_rest, "mm_entry.mm_saved_auxv_rest");
    if (m.lock_future !== undefined) w.uint32(8016, m.lock_future, "mm_entry.lock_future");
    if (m.mdwe !== undefined) w.uint32(8024, m.mdwe, "mm_entry.mdwe");
    if (m.memory_merge !== undefined) w.bool(8032, m.memory_merge, "mm_entry.memory_merge");
    if (m.thp_disable_flags !== undefined) w.uint32(8040, m.thp_disable_flags, "mm_entry.thp_disable_flags");
    if (m.coredump_filter !== undefined) w.uint32(8048, m.coredump_filter, "mm_entry.coredump_filter");
  },
  read(r: Reader): MmEntry {
    let mm_start_code: bigint | undefined;
    let mm_end_code: bigint | undefined;
    let mm_start_data: bigint | undefined;
    let mm_end_data: bigint | undefined;
    let mm_start_stack: bigint | undefined;
    let mm_start_brk: bigint | undefined;
    let mm_brk: bigint | undefined;
    let mm_arg_start: bigint | undefined;
    let mm_arg_end: bigint | undefined;
    let mm_env_start: bigint | undefined;
    let mm_env_end: bigint | undefined;
    let exe_file_id: number | undefined;
    const mm_saved_auxv: bigint[] = [];
    const vmas: VmaEntry[] = [];
    let dumpable: number | undefined;
    const aios: AioRingEntry[] = [];
    let thp_disabled: boolean | undefined;
    const mm_saved_auxv_rest: bigint[] = [];
    let lock_future: number | undefined;
    let mdwe: number | undefined;
    let memory_merge: boolean | undefined;
    let thp_disable_flags: number | undefined;
    let coredump_filter: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mm_start_code = r.uint64();
          break;
        case 16:
          mm_end_code = r.uint64();
          break;
        case 24:
          mm_start_data = r.uint64();
          break;
        case 32:
          mm_end_data = r.uint64();
          break;
        case 40:
          mm_start_stack = r.uint64();
          break;
        case 48:
          mm_start_brk = r.uint64();
          break;
        case 56:
          mm_brk = r.uint64();
          break;
        case 64:
          mm_arg_start = r.uint64();
          break;
        case 72:
          mm_arg_end = r.uint64();
          break;
        case 80:
          mm_env_start = r.uint64();
          break;
        case 88:
          mm_env_end = r.uint64();
          break;
        case 96:
          exe_file_id = r.uint32();
          break;
        case 104:
          mm_saved_auxv.push(r.uint64());
          break;
        case 106:
          r.packed(mm_saved_auxv, r.uint64);
          break;
        case 114:
          vmas.push(r.message(VmaEntry));
          break;
        case 120:
          dumpable = r.int32();
          break;
        case 130:
          aios.push(r.message(AioRingEntry));
          break;
        case 136:
          thp_disabled = r.bool();
          break;
        case 8008:
          mm_saved_auxv_rest.push(r.uint64());
          break;
        case 8010:
          r.packed(mm_saved_auxv_rest, r.uint64);
          break;
        case 8016:
          lock_future = r.uint32();
          break;
        case 8024:
          mdwe = r.uint32();
          break;
        case 8032:
          memory_merge = r.bool();
          break;
        case 8040:
          thp_disable_flags = r.uint32();
          break;
        case 8048:
          coredump_filter = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mm_start_code === undefined) return r.missing("mm_entry.mm_start_code");
    if (mm_end_code === undefined) return r.missing("mm_entry.mm_end_code");
    if (mm_start_data === undefined) return r.missing("mm_entry.mm_start_data");
    if (mm_end_data === undefined) return r.missing("mm_entry.mm_end_data");
    if (mm_start_stack === undefined) return r.missing("mm_entry.mm_start_stack");
    if (mm_start_brk === undefined) return r.missing("mm_entry.mm_start_brk");
    if (mm_brk === undefined) return r.missing("mm_entry.mm_brk");
    if (mm_arg_start === undefined) return r.missing("mm_entry.mm_arg_start");
    if (mm_arg_end === undefined) return r.missing("mm_entry.mm_arg_end");
    if (mm_env_start === undefined) return r.missing("mm_entry.mm_env_start");
    if (mm_env_end === undefined) return r.missing("mm_entry.mm_env_end");
    if (exe_file_id === undefined) return r.missing("mm_entry.exe_file_id");
    return { mm_start_code, mm_end_code, mm_start_data, mm_end_data, mm_start_stack, mm_start_brk, mm_brk, mm_arg_start, mm_arg_end, mm_env_start, mm_env_end, exe_file_id, mm_saved_auxv, vmas, dumpable, aios, thp_disabled, mm_saved_auxv_rest, lock_future, mdwe, memory_merge, thp_disable_flags, coredump_filter };
  },
};

/** Of criu-ts only: set_mempolicy(2) and mbind(2). */
export interface MemoryPolicyEntry {
  mode: number;
  /** a bit for each node, without zeros at the end */
  nodes: Uint8Array;
}

export const MemoryPolicyEntry: Codec<MemoryPolicyEntry> = {
  name: "memory_policy_entry",
  write(w: Writer, m: MemoryPolicyEntry): void {
    w.uint32(8, m.mode, "memory_policy_entry.mode");
    w.bytes(18, m.nodes, "memory_policy_entry.nodes");
  },
  read(r: Reader): MemoryPolicyEntry {
    let mode: number | undefined;
    let nodes: Uint8Array | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mode = r.uint32();
          break;
        case 18:
          nodes = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mode === undefined) return r.missing("memory_policy_entry.mode");
    if (nodes === undefined) return r.missing("memory_policy_entry.nodes");
    return { mode, nodes };
  },
};

export interface VmaEntry {
  start: bigint;
  end: bigint;
  /** bytes */
  pgoff: bigint;
  /** what it maps: id in files.img, or of a shared anonymous mapping */
  shmid: bigint;
  prot: number;
  flags: number;
  status: number;
  /** always -1 */
  fd: bigint;
  /** bit N: MADV_* number N */
  madv?: bigint | undefined;
  fdflags?: number | undefined;
  /** Of criu-ts only: mlock2(2) with MLOCK_ONFAULT; mseal(2); the name of anonymous memory (PR_SET_VMA_ANON_NAME). */
  lock_on_fault?: boolean | undefined;
  sealed?: boolean | undefined;
  anon_name?: string | undefined;
  policy?: MemoryPolicyEntry | undefined;
}

export const VmaEntry: Codec<VmaEntry> = {
  name: "vma_entry",
  write(w: Writer, m: VmaEntry): void {
    w.uint64(8, m.start, "vma_entry.start");
    w.uint64(16, m.end, "vma_entry.end");
    w.uint64(24, m.pgoff, "vma_entry.pgoff");
    w.uint64(32, m.shmid, "vma_entry.shmid");
    w.uint32(40, m.prot, "vma_entry.prot");
    w.uint32(48, m.flags, "vma_entry.flags");
    w.uint32(56, m.status, "vma_entry.status");
    w.sint64(64, m.fd, "vma_entry.fd");
    if (m.madv !== undefined) w.uint64(72, m.madv, "vma_entry.madv");
    if (m.fdflags !== undefined) w.uint32(80, m.fdflags, "vma_entry.fdflags");
    if (m.lock_on_fault !== undefined) w.bool(8000, m.lock_on_fault, "vma_entry.lock_on_fault");
    if (m.sealed !== undefined) w.bool(8008, m.sealed, "vma_entry.sealed");
    if (m.anon_name !== undefined) w.string(8018, m.anon_name, "vma_entry.anon_name");
    if (m.policy !== undefined) w.message(8026, MemoryPolicyEntry, m.policy, "vma_entry.policy");
  },
  read(r: Reader): VmaEntry {
    let start: bigint | undefined;
    let end: bigint | undefined;
    let pgoff: bigint | undefined;
    let shmid: bigint | undefined;
    let prot: number | undefined;
    let flags: number | undefined;
    let status: number | undefined;
    let fd: bigint | undefined;
    let madv: bigint | undefined;
    let fdflags: number | undefined;
    let lock_on_fault: boolean | undefined;
    let sealed: boolean | undefined;
    let anon_name: string | undefined;
    let policy: MemoryPolicyEntry | undefined;
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
            start = BigInt(byte);
            break;
          }
          r.pos = at;
          start = r.uint64();
          at = r.pos;
          break;
        }
        case 16: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            end = BigInt(byte);
            break;
          }
          r.pos = at;
          end = r.uint64();
          at = r.pos;
          break;
        }
        case 24: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            pgoff = BigInt(byte);
            break;
          }
          r.pos = at;
          pgoff = r.uint64();
          at = r.pos;
          break;
        }
        case 32: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            shmid = BigInt(byte);
            break;
          }
          r.pos = at;
          shmid = r.uint64();
          at = r.pos;
          break;
        }
        case 40: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            prot = byte;
            break;
          }
          r.pos = at;
          prot = r.uint32();
          at = r.pos;
          break;
        }
        case 48: {
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
        case 56: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            status = byte;
            break;
          }
          r.pos = at;
          status = r.uint32();
          at = r.pos;
          break;
        }
        case 64:
          r.pos = at;
          fd = r.sint64();
          at = r.pos;
          break;
        case 72: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            madv = BigInt(byte);
            break;
          }
          r.pos = at;
          madv = r.uint64();
          at = r.pos;
          break;
        }
        case 80: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            fdflags = byte;
            break;
          }
          r.pos = at;
          fdflags = r.uint32();
          at = r.pos;
          break;
        }
        case 8000: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            lock_on_fault = byte !== 0;
            break;
          }
          r.pos = at;
          lock_on_fault = r.bool();
          at = r.pos;
          break;
        }
        case 8008: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            sealed = byte !== 0;
            break;
          }
          r.pos = at;
          sealed = r.bool();
          at = r.pos;
          break;
        }
        case 8018:
          r.pos = at;
          anon_name = r.string();
          at = r.pos;
          break;
        case 8026:
          r.pos = at;
          policy = r.message(MemoryPolicyEntry);
          at = r.pos;
          break;
        default:
          r.pos = at;
          r.skip(tag);
          at = r.pos;
      }
    }
    r.pos = at;
    if (start === undefined) return r.missing("vma_entry.start");
    if (end === undefined) return r.missing("vma_entry.end");
    if (pgoff === undefined) return r.missing("vma_entry.pgoff");
    if (shmid === undefined) return r.missing("vma_entry.shmid");
    if (prot === undefined) return r.missing("vma_entry.prot");
    if (flags === undefined) return r.missing("vma_entry.flags");
    if (status === undefined) return r.missing("vma_entry.status");
    if (fd === undefined) return r.missing("vma_entry.fd");
    return { start, end, pgoff, shmid, prot, flags, status, fd, madv, fdflags, lock_on_fault, sealed, anon_name, policy };
  },
};

export interface AioRingEntry {
  id: bigint;
  nr_req: number;
  ring_len: number;
}

export const AioRingEntry: Codec<AioRingEntry> = {
  name: "aio_ring_entry",
  write(w: Writer, m: AioRingEntry): void {
    w.uint64(8, m.id, "aio_ring_entry.id");
    w.uint32(16, m.nr_req, "aio_ring_entry.nr_req");
    w.uint32(24, m.ring_len, "aio_ring_entry.ring_len");
  },
  read(r: Reader): AioRingEntry {
    let id: bigint | undefined;
    let nr_req: number | undefined;
    let ring_len: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint64();
          break;
        case 16:
          nr_req = r.uint32();
          break;
        case 24:
          ring_len = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("aio_ring_entry.id");
    if (nr_req === undefined) return r.missing("aio_ring_entry.nr_req");
    if (ring_len === undefined) return r.missing("aio_ring_entry.ring_len");
    return { id, nr_req, ring_len };
  },
};

/** pagemap-PID.img and pagemap-shmem-SHMID.img: this first, then pagemap_entry until the end. The pages stand in pages-`pages_id`.img in the same order, without gaps. */
export interface PagemapHead {
  pages_id: number;
}

export const PagemapHead: Codec<PagemapHead> = {
  name: "pagemap_head",
  write(w: Writer, m: PagemapHead): void {
    w.uint32(8, m.pages_id, "pagemap_head.pages_id");
  },
  read(r: Reader): PagemapHead {
    let pages_id: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          pages_id = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (pages_id === undefined) return r.missing("pagemap_head.pages_id");
    return { pages_id };
  },
};

export interface PagemapEntry {
  vaddr: bigint;
  /** 0 where nr_pages is given */
  compat_nr_pages: number;
  /** old images; flags has it now */
  in_parent?: boolean | undefined;
  flags?: number | undefined;
  nr_pages?: bigint | undefined;
  /** CRIU 4.3: lengths of the compressed blocks in the pages file, 0 where all is zero, the block's own size where it is stored as it is; their sum; pages in a block (0: one). */
  compressed_size?: number[] | undefined;
  total_compressed_size?: bigint | undefined;
  region_pages?: number | undefined;
}

export const PagemapEntry: Codec<PagemapEntry> = {
  name: "pagemap_entry",
  write(w: Writer, m: PagemapEntry): void {
    w.uint64(8, m.vaddr, "pagemap_entry.vaddr");
    w.uint32(16, m.compat_nr_pages, "pagemap_entry.compat_nr_pages");
    if (m.in_parent !== undefined) w.bool(24, m.in_parent, "pagemap_entry.in_parent");
    if (m.flags !== undefined) w.uint32(32, m.flags, "pagemap_entry.flags");
    if (m.nr_pages !== undefined) w.uint64(40, m.nr_pages, "pagemap_entry.nr_pages");
    if (m.compressed_size !== undefined) w.packed(50, m.compressed_size, "pagemap_entry.compressed_size");
    if (m.total_compressed_size !== undefined) w.uint64(56, m.total_compressed_size, "pagemap_entry.total_compressed_size");
    if (m.region_pages !== undefined) w.uint32(64, m.region_pages, "pagemap_entry.region_pages");
  },
  read(r: Reader): PagemapEntry {
    let vaddr: bigint | undefined;
    let compat_nr_pages: number | undefined;
    let in_parent: boolean | undefined;
    let flags: number | undefined;
    let nr_pages: bigint | undefined;
    let compressed_size: number[] | undefined;
    let total_compressed_size: bigint | undefined;
    let region_pages: number | undefined;
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
            vaddr = BigInt(byte);
            break;
          }
          r.pos = at;
          vaddr = r.uint64();
          at = r.pos;
          break;
        }
        case 16: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            compat_nr_pages = byte;
            break;
          }
          r.pos = at;
          compat_nr_pages = r.uint32();
          at = r.pos;
          break;
        }
        case 24: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            in_parent = byte !== 0;
            break;
          }
          r.pos = at;
          in_parent = r.bool();
          at = r.pos;
          break;
        }
        case 32: {
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
        case 40: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            nr_pages = BigInt(byte);
            break;
          }
          r.pos = at;
          nr_pages = r.uint64();
          at = r.pos;
          break;
        }
        case 48: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            (compressed_size ??= []).push(byte);
            break;
          }
          r.pos = at;
          (compressed_size ??= []).push(r.uint32());
          at = r.pos;
          break;
        }
        case 50:
          r.pos = at;
          r.packed((compressed_size ??= []), r.uint32);
          at = r.pos;
          break;
        case 56: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            total_compressed_size = BigInt(byte);
            break;
          }
          r.pos = at;
          total_compressed_size = r.uint64();
          at = r.pos;
          break;
        }
        case 64: {
          const byte = data[at] ?? 0x80;
          if (byte < 0x80 && at < limit) {
            at++;
            region_pages = byte;
            break;
          }
          r.pos = at;
          region_pages = r.uint32();
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
    if (vaddr === undefined) return r.missing("pagemap_entry.vaddr");
    if (compat_nr_pages === undefined) return r.missing("pagemap_entry.compat_nr_pages");
    return { vaddr, compat_nr_pages, in_parent, flags, nr_pages, compressed_size, total_compressed_size, region_pages };
  },
};

/** memfd.img */
export interface MemfdInodeEntry {
  name: string;
  uid: number;
  gid: number;
  size: bigint;
  shmid: number;
  seals: number;
  inode_id: bigint;
  hugetlb_flag?: number | undefined;
  mode?: number | undefined;
}

export const MemfdInodeEntry: Codec<MemfdInodeEntry> = {
  name: "memfd_inode_entry",
  write(w: Writer, m: MemfdInodeEntry): void {
    w.string(10, m.name, "memfd_inode_entry.name");
    w.uint32(16, m.uid, "memfd_inode_entry.uid");
    w.uint32(24, m.gid, "memfd_inode_entry.gid");
    w.uint64(32, m.size, "memfd_inode_entry.size");
    w.uint32(40, m.shmid, "memfd_inode_entry.shmid");
    w.uint32(48, m.seals, "memfd_inode_entry.seals");
    w.uint64(56, m.inode_id, "memfd_inode_entry.inode_id");
    if (m.hugetlb_flag !== undefined) w.uint32(64, m.hugetlb_flag, "memfd_inode_entry.hugetlb_flag");
    if (m.mode !== undefined) w.uint32(72, m.mode, "memfd_inode_entry.mode");
  },
  read(r: Reader): MemfdInodeEntry {
    let name: string | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    let size: bigint | undefined;
    let shmid: number | undefined;
    let seals: number | undefined;
    let inode_id: bigint | undefined;
    let hugetlb_flag: number | undefined;
    let mode: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 16:
          uid = r.uint32();
          break;
        case 24:
          gid = r.uint32();
          break;
        case 32:
          size = r.uint64();
          break;
        case 40:
          shmid = r.uint32();
          break;
        case 48:
          seals = r.uint32();
          break;
        case 56:
          inode_id = r.uint64();
          break;
        case 64:
          hugetlb_flag = r.uint32();
          break;
        case 72:
          mode = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("memfd_inode_entry.name");
    if (uid === undefined) return r.missing("memfd_inode_entry.uid");
    if (gid === undefined) return r.missing("memfd_inode_entry.gid");
    if (size === undefined) return r.missing("memfd_inode_entry.size");
    if (shmid === undefined) return r.missing("memfd_inode_entry.shmid");
    if (seals === undefined) return r.missing("memfd_inode_entry.seals");
    if (inode_id === undefined) return r.missing("memfd_inode_entry.inode_id");
    return { name, uid, gid, size, shmid, seals, inode_id, hugetlb_flag, mode };
  },
};
