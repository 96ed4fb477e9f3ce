/**
 * The connections of a dump: locked all at once, then each taken in repair. Where the tree ends they stay in repair until it is
 * gone, so that their peers hear nothing; where it runs on, or the dump fails, or we are killed, all is put back.
 */
import type { Fd } from "../../linux/fd.ts";
import { NR } from "../../linux/nr.ts";
import { SO, SOL } from "../../linux/socket.ts";
import { TCP } from "../../linux/socket-options.ts";
import { s32 } from "../../linux/struct.ts";
import { repairOn } from "../../linux/tcp.ts";
import type { Connection, NetworkLock } from "../../namespaces/network-lock.ts";
import { call, type UndoStep } from "../../undo/calls.ts";
import type { Undo, UndoEntry } from "../../undo/undo.ts";
import { type SavedConnection, saveConnection } from "./tcp.ts";

/** A connection of the tree that is to be saved. */
export interface OpenConnection {
  /** Ours, of the same description. */
  readonly fd: Fd;
  readonly ends: Connection;
  /** SO_REUSEADDR, which repair changes. */
  readonly reuse: boolean;
  /** Whether the namespace that it is in is locked as a whole. */
  readonly isLocked: boolean;
  /** How many bytes wait in it in truth, with a FIN that waits; undefined where the kernel's list has it not. */
  readonly waiting: () => number | undefined;
  /** For messages: `process 12: descriptor 3: the TCP connection ...`. */
  readonly where: string;
  /** Gets what was found. */
  readonly take: (saved: SavedConnection) => void;
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(s32.size);
  s32.write(bytes, 0, value);
  return bytes;
}

/** Begins repair again: closed in it, a connection ends without a word. */
export function enteringRepair(fd: number): UndoStep[] {
  return [call(NR.setsockopt, fd, SOL.TCP, TCP.REPAIR, int(1), s32.size)];
}

/**
 * Ends repair, asks the peer for its window, and has the address shared as before. One that is in repair no more asks all the same
 * (do_tcp_setsockopt, net/ipv4/tcp.c).
 */
export function leavingRepair(fd: number, reuse: boolean): UndoStep[] {
  return [
    call(NR.setsockopt, fd, SOL.TCP, TCP.REPAIR, int(0), s32.size),
    call(NR.setsockopt, fd, SOL.SOCKET, SO.REUSEADDR, int(reuse ? 1 : 0), s32.size),
  ];
}

export class ConnectionsDump {
  readonly #open: OpenConnection[] = [];
  readonly #undone: UndoEntry[] = [];
  #staying: UndoEntry | undefined;

  constructor(
    private readonly undo: Undo,
    private readonly lock: NetworkLock,
  ) {}

  /** One more to be saved. Its descriptor is ours from now on. */
  add(connection: OpenConnection): void {
    this.#open.push(connection);
  }

  /**
   * Locks and saves them all. `leaves` says that the tree runs on: then they are let go at once. Otherwise the lock stays when
   * the tree has ended. @throws KernelError, FileDumpError
   */
  save(leaves: boolean): void {
    if (this.#open.length === 0) return;
    const { lock, undo } = this;
    const unlocked = this.#open.filter(({ isLocked }) => !isLocked);
    if (unlocked.length > 0) {
      lock.prepare(unlocked.map(({ ends }) => ends));
      this.#undone.push(undo.lay("network lock", lock.undoing));
      lock.lock();
    }
    for (const { fd, reuse, waiting, where, take } of this.#open) {
      this.#undone.push(undo.lay(`${where}: repair`, leavingRepair(fd.number, reuse)));
      repairOn(fd.number);
      take(saveConnection(fd.number, waiting, undo, where));
    }
    if (leaves) this.release();
    else if (unlocked.length > 0) this.#staying = undo.layAfter("network lock", lock.staying);
  }

  /** The tree runs on: connections go on, and the lock is taken away. Never throws. */
  release(): void {
    for (const entry of this.#undone.splice(0).reverse()) entry.undo();
    this.#staying?.drop();
    for (const { fd } of this.#open.splice(0)) fd.close();
    this.lock[Symbol.dispose]();
  }
}
