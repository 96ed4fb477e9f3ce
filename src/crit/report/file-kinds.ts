/** What an open file is, in words: by kind, its name, what else is known of it, and how much waits in it. */
import { IMAGES } from "../../images/kinds.ts";
import type { FdTypes, FileEntry, TtyInfoEntry } from "../../images/schema/generated/files.ts";
import { FdTypes as TYPES } from "../../images/schema/generated/files.ts";
import type { MemfdInodeEntry } from "../../images/schema/generated/memory.ts";
import type { InetSkEntry, UnixSkEntry } from "../../images/schema/generated/sockets.ts";
import { O } from "../../linux/io.ts";
import { bytesToText } from "../../linux/text.ts";
import { addressToText } from "../address.ts";
import { bitsToText, FLAGS, VALUES } from "../names.ts";
import type { Checkpoint } from "./checkpoint.ts";

export interface Described {
  /** A path, an address, a number: what it is known by. */
  readonly name: string;
  readonly details?: readonly (string | undefined)[];
  /** Bytes that wait in it; undefined where nothing can. */
  readonly waiting?: number | undefined;
  /** What it has in common with its other ends. */
  readonly link?: string | undefined;
}

/** The images that those of files point to. */
export class FileImages {
  readonly entries: readonly FileEntry[];
  private readonly byId: ReadonlyMap<number, FileEntry>;
  private readonly pipes = new Map<number, number>();
  private readonly packets: ReadonlyMap<number, readonly number[]>;
  private readonly memfds: ReadonlyMap<number, MemfdInodeEntry>;
  private readonly terminals: ReadonlyMap<number, TtyInfoEntry>;

  constructor(private readonly checkpoint: Checkpoint) {
    this.entries = checkpoint.all(IMAGES.files);
    this.byId = new Map(this.entries.map((entry) => [entry.id, entry]));
    for (const kind of [IMAGES.pipes_data, IMAGES.fifo_data]) {
      for (const { pipe_id, bytes } of checkpoint.all(kind)) this.pipes.set(pipe_id, bytes);
    }
    const packets = Map.groupBy(checkpoint.all(IMAGES.sk_queues), ({ id_for }) => id_for);
    this.packets = new Map([...packets].map(([id, list]) => [id, list.map(({ length }) => length)]));
    this.memfds = new Map(checkpoint.all(IMAGES.memfd_inode).map((entry) => [Number(entry.inode_id), entry]));
    this.terminals = new Map(checkpoint.all(IMAGES.tty_info).map((entry) => [entry.id, entry]));
  }

  get(id: number | undefined): FileEntry | undefined {
    return id === undefined ? undefined : this.byId.get(id);
  }

  /** Bytes in a pipe. */
  inPipe(id: number): number {
    return this.pipes.get(id) ?? 0;
  }

  /** Lengths of the packets in a socket's queue. */
  inSocket(id: number): readonly number[] {
    return this.packets.get(id) ?? [];
  }

  ofTcp(ino: number): { readonly received: number; readonly unsent: number } | undefined {
    const stream = this.checkpoint.has(IMAGES.tcp_stream, ino)
      ? this.checkpoint.tryOne(IMAGES.tcp_stream, ino)
      : undefined;
    return stream === undefined ? undefined : { received: stream.inq_len, unsent: stream.outq_len };
  }

  memfd(id: number): MemfdInodeEntry | undefined {
    return this.memfds.get(id);
  }

  terminal(id: number): TtyInfoEntry | undefined {
    return this.terminals.get(id);
  }
}

export function describeFile(entry: FileEntry, images: FileImages): Described {
  for (const describer of DESCRIBERS) {
    const described = describer(entry, images);
    if (described !== undefined) return described;
  }
  return { name: "" };
}

const TYPE_NAMES: Readonly<Partial<Record<FdTypes, string>>> = {
  [TYPES.REG]: "file",
  [TYPES.PIPE]: "pipe",
  [TYPES.FIFO]: "FIFO",
  [TYPES.INETSK]: "internet socket",
  [TYPES.UNIXSK]: "Unix socket",
  [TYPES.EVENTFD]: "eventfd",
  [TYPES.EVENTPOLL]: "epoll",
  [TYPES.INOTIFY]: "inotify",
  [TYPES.SIGNALFD]: "signalfd",
  [TYPES.PACKETSK]: "packet socket",
  [TYPES.TTY]: "terminal",
  [TYPES.FANOTIFY]: "fanotify",
  [TYPES.NETLINKSK]: "netlink socket",
  [TYPES.NS]: "namespace",
  [TYPES.TUNF]: "tun device",
  [TYPES.EXT]: "external",
  [TYPES.TIMERFD]: "timerfd",
  [TYPES.MEMFD]: "memfd",
  [TYPES.BPFMAP]: "BPF map",
  [TYPES.PIDFD]: "pidfd",
};

export function typeName(type: FdTypes): string {
  return TYPE_NAMES[type] ?? `type ${type}`;
}

type Describer = (entry: FileEntry, images: FileImages) => Described | undefined;

const DESCRIBERS: readonly Describer[] = [
  ({ reg }) =>
    reg && {
      name: reg.name,
      details: [
        flagsText(reg.flags),
        `at ${reg.pos}`,
        reg.size === undefined ? undefined : `${reg.size} bytes`,
      ],
    },
  ({ pipe }, images) =>
    pipe && {
      name: `pipe:[${pipe.pipe_id}]`,
      details: [flagsText(pipe.flags)],
      waiting: images.inPipe(pipe.pipe_id),
      link: `pipe:[${pipe.pipe_id}]`,
    },
  ({ fifo }, images) => {
    const file = images.get(fifo?.regf_id)?.reg;
    const name = file?.name ?? `FIFO ${fifo?.pipe_id}`;
    return (
      fifo && {
        name,
        details: [file && flagsText(file.flags)],
        waiting: images.inPipe(fifo.pipe_id),
        link: name,
      }
    );
  },
  ({ isk }, images) => isk && inetSocket(isk, images),
  ({ usk }, images) => usk && unixSocket(usk, images),
  ({ nlsk }, images) =>
    nlsk && {
      name: `protocol ${nlsk.protocol}, port ${nlsk.portid}`,
      waiting: sum(images.inSocket(nlsk.id)),
    },
  ({ psk }) => psk && { name: `protocol ${psk.protocol}, interface ${psk.ifindex}` },
  ({ efd }) => efd && { name: `counter ${efd.counter}`, details: [flagsText(efd.flags)] },
  ({ epfd }) => {
    const watched = epfd?.tfd.map(({ tfd }) => tfd).sort((a, b) => a - b) ?? [];
    return epfd && { name: `${watched.length} watched`, details: [watched.slice(0, 20).join(", ")] };
  },
  ({ ify }) =>
    ify && {
      name: `${ify.wd.length} watched`,
      details: ify.wd.flatMap(({ f_handle }) => f_handle.path ?? []).slice(0, 8),
    },
  ({ ffy }) => ffy && { name: `${ffy.mark.length} marks` },
  ({ sgfd }) => sgfd && { name: `signals ${signalsIn(sgfd.sigmask).join(", ")}` },
  ({ tfd }) =>
    tfd && {
      name: tfd.vsec === 0n && tfd.vnsec === 0n ? "not armed" : `in ${seconds(tfd.vsec, tfd.vnsec)}`,
      details: [
        tfd.isec === 0n && tfd.insec === 0n ? undefined : `every ${seconds(tfd.isec, tfd.insec)}`,
        `clock ${tfd.clockid}`,
      ],
    },
  ({ tty }, images) => tty && terminal(tty.tty_info_id, images.terminal(tty.tty_info_id)),
  ({ memfd }, images) => {
    const inode = images.memfd(memfd?.inode_id ?? -1);
    return (
      memfd && {
        name: `memfd:${inode?.name ?? memfd.inode_id}`,
        details: [flagsText(memfd.flags), `at ${memfd.pos}`, inode && `${inode.size} bytes`],
      }
    );
  },
  ({ nsf }) => nsf && { name: `namespace ${nsf.ns_id}` },
  ({ tunf }) => tunf && { name: tunf.netdev ?? "not attached" },
  ({ bpf }) => bpf && { name: bpf.map_name, details: [`${bpf.max_entries} entries`] },
  ({ pidfd }) => pidfd && { name: `of process ${pidfd.nspid}` },
  ({ ext }) => ext && { name: "given from outside" },
];

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function flagsText(flags: number): string {
  const access = ["read", "write", "read, write"][flags & O.ACCMODE] ?? "";
  const more = bitsToText((flags & ~(O.ACCMODE | O.LARGEFILE)) >>> 0, FLAGS["rfile.flags"] ?? []);
  return more === "" ? access : `${access}, ${more.replaceAll(" | ", ", ")}`;
}

function seconds(whole: bigint, nanoseconds: bigint): string {
  return `${(Number(whole) + Number(nanoseconds) / 1e9).toFixed(3)} s`;
}

function signalsIn(mask: bigint): number[] {
  const all = Array.from({ length: 64 }, (_, n) => n + 1);
  return all.filter((signal) => ((mask >> BigInt(signal - 1)) & 1n) === 1n);
}

function valueName(field: string, value: number): string {
  return VALUES.sk?.[field]?.[value] ?? String(value);
}

function inetSocket(isk: InetSkEntry, images: FileImages): Described {
  const end = (address: readonly number[], port: number) => {
    const text = addressToText(address) ?? "?";
    return `${address.length === 4 ? `[${text}]` : text}:${port}`;
  };
  const from = end(isk.src_addr, isk.src_port);
  const queues = images.ofTcp(isk.ino);
  return {
    name: isk.dst_port === 0 ? from : `${from} → ${end(isk.dst_addr, isk.dst_port)}`,
    details: [
      valueName("proto", isk.proto),
      valueName("state", isk.state),
      queues && `${queues.received} bytes received, ${queues.unsent} to be sent`,
    ],
    waiting: queues === undefined ? sum(images.inSocket(isk.id)) : queues.received + queues.unsent,
  };
}

function unixSocket(usk: UnixSkEntry, images: FileImages): Described {
  const packets = images.inSocket(usk.id);
  const name = bytesToText(usk.name).replace(/^\0/, "@").replace(/\0+$/, "");
  const [low, high] = usk.ino < usk.peer ? [usk.ino, usk.peer] : [usk.peer, usk.ino];
  return {
    name: name === "" ? `socket:[${usk.ino}]` : name,
    details: [
      valueName("type", usk.type),
      valueName("state", usk.state),
      usk.peer === 0 ? undefined : `peer ${usk.peer}`,
      packets.length === 0 ? undefined : `${packets.length} packets`,
    ],
    waiting: sum(packets),
    link: usk.peer === 0 ? undefined : `sockets ${low} ↔ ${high}`,
  };
}

const TTY_TYPES = [
  "unknown",
  "pseudo-terminal",
  "console",
  "virtual terminal",
  "controlling terminal",
  "external",
  "serial",
];

function terminal(id: number, info: TtyInfoEntry | undefined): Described {
  if (info === undefined) return { name: `terminal ${id}` };
  const { winsize, pty, type, sid, pgrp } = info;
  return {
    name: `${TTY_TYPES[type] ?? "terminal"}${pty === undefined ? "" : ` ${pty.index}`}`,
    details: [winsize && `${winsize.ws_col} × ${winsize.ws_row}`, `session ${sid}`, `group ${pgrp}`],
  };
}
