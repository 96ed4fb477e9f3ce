/** Filling the queue of a Unix socket: each message is sent by who sent it, with what came beside it. */
import { ChildTable } from "../../linux/child-table.ts";
import { ERRNO, isErrno, KernelError } from "../../linux/errno.ts";
import { NR } from "../../linux/nr.ts";
import { ourPid } from "../../linux/ourselves.ts";
import type { Owners } from "../../linux/owners.ts";
import type { HostPid, NsPid } from "../../linux/pid.ts";
import {
  type ControlMessage,
  credentialsMessage,
  MSG,
  receive,
  rightsMessage,
  trySend,
} from "../../linux/socket-messages.ts";
import { rawSyscall } from "../../linux/syscall.ts";
import { log } from "../../log.ts";
import { FileRestoreError } from "../errors.ts";
import { rightsIn, type StoredPacket } from "./sk-queues.ts";
import { URGENT } from "./unix-queue.ts";

/** What sending takes beside sockets. */
export interface Sending {
  /** Our descriptor of an entry of files.img. */
  descriptor(id: number): number;
  hostOf(number: NsPid): HostPid | undefined;
  withNumbers<T>(act: () => T): T;
  /** What we call users and groups of the images. */
  readonly owners: Owners;
}

/** So many bytes of a stream are sent at once. */
const PIECE = 1 << 20;
/** What urgent data was that has been read by now: it is read again. */
const ANY_BYTE = Uint8Array.of(0);

export class Sender implements Disposable {
  /** For processes that have ended and are named as senders: the kernel takes the number of somebody who is there. */
  readonly #standIns = new Map<NsPid, ChildTable>();

  constructor(private readonly sending: Sending) {}

  /**
   * Puts a packet of a stream, or of a connection of messages, into the queue of `to`: by `from`, its peer. Both are ours; `from` has
   * room, and does not wait. @throws KernelError, FileRestoreError
   */
  toPeer(packet: StoredPacket, from: number, to: number, isStream: boolean): void {
    const { entry, payload } = packet;
    const control = this.#control(packet);
    switch (entry.urgent) {
      case undefined:
        break;
      case URGENT.WAITS:
        check(trySend(from, { bytes: payload.bytes(), control, flags: MSG.OOB }), entry.length);
        return;
      case URGENT.WAS_READ:
        check(trySend(from, { bytes: ANY_BYTE, flags: MSG.OOB }), ANY_BYTE.length);
        receive(to, new Uint8Array(1), MSG.OOB | MSG.DONTWAIT);
        return;
      default:
        throw new FileRestoreError(`urgent data of kind ${entry.urgent} is not known`);
    }
    // Descriptors go with the first byte; an empty message has none, and is one nevertheless.
    let sent = 0;
    do {
      const left = entry.length - sent;
      const bytes = payload.bytes(sent, isStream ? Math.min(PIECE, left) : left);
      const result = trySend(from, { bytes, control: sent === 0 ? control : this.#credentials(packet) });
      sent += check(result, bytes.length);
    } while (sent < entry.length);
  }

  /** Sends a datagram by `from`, to an address or to whom it is connected to. False where the queue is full. @throws KernelError */
  datagram(packet: StoredPacket, from: number, to: Uint8Array | undefined): boolean {
    const bytes = packet.payload.bytes();
    const control = this.#control(packet);
    const result = trySend(from, to === undefined ? { bytes, control } : { bytes, control, to });
    if (result === -ERRNO.EAGAIN) return false;
    check(result, bytes.length);
    return true;
  }

  [Symbol.dispose](): void {
    for (const child of this.#standIns.values()) child[Symbol.dispose]();
    this.#standIns.clear();
  }

  #control(packet: StoredPacket): ControlMessage[] {
    const rights = rightsIn(packet.entry.scm).map((id) => this.sending.descriptor(id));
    const credentials = this.#credentials(packet);
    return rights.length === 0 ? credentials : [rightsMessage(rights), ...credentials];
  }

  #credentials({ entry: { ucred, id_for } }: StoredPacket): ControlMessage[] {
    if (ucred === undefined) return [];
    // Somebody who cannot be seen from the tree's pid namespace: as we.
    const pid = ucred.pid === 0 ? ourPid() : this.#standsFor(ucred.pid);
    const { owners } = this.sending;
    if (pid !== undefined)
      return [credentialsMessage({ pid, uid: owners.uid(ucred.uid), gid: owners.gid(ucred.gid) })];
    log.warn(
      "files/unix",
      `a message in the queue of socket ${id_for} is of a process that cannot be named any more: it comes without credentials`,
    );
    return [];
  }

  /** Our number of a process that has that one, and is there at least until we are done; undefined where none can be. */
  #standsFor(number: NsPid): HostPid | undefined {
    const known = this.#standIns.get(number);
    if (known !== undefined) return known.pid;
    const host = this.sending.hostOf(number);
    if (host !== undefined && rawSyscall(NR.kill, host, 0) !== -ERRNO.ESRCH) return host;
    const child = new ChildTable();
    try {
      const pid = this.sending.withNumbers(() => child.hold(number));
      this.#standIns.set(number, child);
      return pid;
    } catch (error) {
      child[Symbol.dispose]();
      if (isErrno(error, ERRNO.EEXIST)) return undefined;
      throw error;
    }
  }
}

/** The number of bytes taken. @throws KernelError where not all were */
function check(result: number, wanted: number): number {
  if (result < 0) throw new KernelError("sendmsg", "to a Unix socket", -result);
  if (result === 0 && wanted > 0) throw new KernelError("sendmsg", "to a Unix socket", ERRNO.EAGAIN);
  return result;
}
