// Made from stats.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface StatsEntry {
  dump?: DumpStatsEntry | undefined;
  restore?: RestoreStatsEntry | undefined;
}

export const StatsEntry: Codec<StatsEntry> = {
  name: "stats_entry",
  write(w: Writer, m: StatsEntry): void {
    if (m.dump !== undefined) w.message(10, DumpStatsEntry, m.dump, "stats_entry.dump");
    if (m.restore !== undefined) w.message(18, RestoreStatsEntry, m.restore, "stats_entry.restore");
  },
  read(r: Reader): StatsEntry {
    let dump: DumpStatsEntry | undefined;
    let restore: RestoreStatsEntry | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          dump = r.message(DumpStatsEntry);
          break;
        case 18:
          restore = r.message(RestoreStatsEntry);
          break;
        default:
          r.skip(tag);
      }
    }
    return { dump, restore };
  },
};

export interface DumpStatsEntry {
  freezing_time: number;
  frozen_time: number;
  memdump_time: number;
  memwrite_time: number;
  pages_scanned: bigint;
  pages_skipped_parent: bigint;
  pages_written: bigint;
  irmap_resolve?: number | undefined;
  pages_lazy: bigint;
  page_pipes?: bigint | undefined;
  page_pipe_bufs?: bigint | undefined;
  shpages_scanned?: bigint | undefined;
  shpages_skipped_parent?: bigint | undefined;
  shpages_written?: bigint | undefined;
}

export const DumpStatsEntry: Codec<DumpStatsEntry> = {
  name: "dump_stats_entry",
  write(w: Writer, m: DumpStatsEntry): void {
    w.uint32(8, m.freezing_time, "dump_stats_entry.freezing_time");
    w.uint32(16, m.frozen_time, "dump_stats_entry.frozen_time");
    w.uint32(24, m.memdump_time, "dump_stats_entry.memdump_time");
    w.uint32(32, m.memwrite_time, "dump_stats_entry.memwrite_time");
    w.uint64(40, m.pages_scanned, "dump_stats_entry.pages_scanned");
    w.uint64(48, m.pages_skipped_parent, "dump_stats_entry.pages_skipped_parent");
    w.uint64(56, m.pages_written, "dump_stats_entry.pages_written");
    if (m.irmap_resolve !== undefined) w.uint32(64, m.irmap_resolve, "dump_stats_entry.irmap_resolve");
    w.uint64(72, m.pages_lazy, "dump_stats_entry.pages_lazy");
    if (m.page_pipes !== undefined) w.uint64(80, m.page_pipes, "dump_stats_entry.page_pipes");
    if (m.page_pipe_bufs !== undefined) w.uint64(88, m.page_pipe_bufs, "dump_stats_entry.page_pipe_bufs");
    if (m.shpages_scanned !== undefined) w.uint64(96, m.shpages_scanned, "dump_stats_entry.shpages_scanned");
    if (m.shpages_skipped_parent !== undefined) w.uint64(104, m.shpages_skipped_parent, "dump_stats_entry.shpages_skipped_parent");
    if (m.shpages_written !== undefined) w.uint64(112, m.shpages_written, "dump_stats_entry.shpages_written");
  },
  read(r: Reader): DumpStatsEntry {
    let freezing_time: number | undefined;
    let frozen_time: number | undefined;
    let memdump_time: number | undefined;
    let memwrite_time: number | undefined;
    let pages_scanned: bigint | undefined;
    let pages_skipped_parent: bigint | undefined;
    let pages_written: bigint | undefined;
    let irmap_resolve: number | undefined;
    let pages_lazy: bigint | undefined;
    let page_pipes: bigint | undefined;
    let page_pipe_bufs: bigint | undefined;
    let shpages_scanned: bigint | undefined;
    let shpages_skipped_parent: bigint | undefined;
    let shpages_written: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          freezing_time = r.uint32();
          break;
        case 16:
          frozen_time = r.uint32();
          break;
        case 24:
          memdump_time = r.uint32();
          break;
        case 32:
          memwrite_time = r.uint32();
          break;
        case 40:
          pages_scanned = r.uint64();
          break;
        case 48:
          pages_skipped_parent = r.uint64();
          break;
        case 56:
          pages_written = r.uint64();
          break;
        case 64:
          irmap_resolve = r.uint32();
          break;
        case 72:
          pages_lazy = r.uint64();
          break;
        case 80:
          page_pipes = r.uint64();
          break;
        case 88:
          page_pipe_bufs = r.uint64();
          break;
        case 96:
          shpages_scanned = r.uint64();
          break;
        case 104:
          shpages_skipped_parent = r.uint64();
          break;
        case 112:
          shpages_written = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (freezing_time === undefined) return r.missing("dump_stats_entry.freezing_time");
    if (frozen_time === undefined) return r.missing("dump_stats_entry.frozen_time");
    if (memdump_time === undefined) return r.missing("dump_stats_entry.memdump_time");
    if (memwrite_time === undefined) return r.missing("dump_stats_entry.memwrite_time");
    if (pages_scanned === undefined) return r.missing("dump_stats_entry.pages_scanned");
    if (pages_skipped_parent === undefined) return r.missing("dump_stats_entry.pages_skipped_parent");
    if (pages_written === undefined) return r.missing("dump_stats_entry.pages_written");
    if (pages_lazy === undefined) return r.missing("dump_stats_entry.pages_lazy");
    return { freezing_time, frozen_time, memdump_time, memwrite_time, pages_scanned, pages_skipped_parent, pages_written, irmap_resolve, pages_lazy, page_pipes, page_pipe_bufs, shpages_scanned, shpages_skipped_parent, shpages_written };
  },
};

export interface RestoreStatsEntry {
  pages_compared: bigint;
  pages_skipped_cow: bigint;
  forking_time: number;
  restore_time: number;
  pages_restored?: bigint | undefined;
}

export const RestoreStatsEntry: Codec<RestoreStatsEntry> = {
  name: "restore_stats_entry",
  write(w: Writer, m: RestoreStatsEntry): void {
    w.uint64(8, m.pages_compared, "restore_stats_entry.pages_compared");
    w.uint64(16, m.pages_skipped_cow, "restore_stats_entry.pages_skipped_cow");
    w.uint32(24, m.forking_time, "restore_stats_entry.forking_time");
    w.uint32(32, m.restore_time, "restore_stats_entry.restore_time");
    if (m.pages_restored !== undefined) w.uint64(40, m.pages_restored, "restore_stats_entry.pages_restored");
  },
  read(r: Reader): RestoreStatsEntry {
    let pages_compared: bigint | undefined;
    let pages_skipped_cow: bigint | undefined;
    let forking_time: number | undefined;
    let restore_time: number | undefined;
    let pages_restored: bigint | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          pages_compared = r.uint64();
          break;
        case 16:
          pages_skipped_cow = r.uint64();
          break;
        case 24:
          forking_time = r.uint32();
          break;
        case 32:
          restore_time = r.uint32();
          break;
        case 40:
          pages_restored = r.uint64();
          break;
        default:
          r.skip(tag);
      }
    }
    if (pages_compared === undefined) return r.missing("restore_stats_entry.pages_compared");
    if (pages_skipped_cow === undefined) return r.missing("restore_stats_entry.pages_skipped_cow");
    if (forking_time === undefined) return r.missing("restore_stats_entry.forking_time");
    if (restore_time === undefined) return r.missing("restore_stats_entry.restore_time");
    return { pages_compared, pages_skipped_cow, forking_time, restore_time, pages_restored };
  },
};
