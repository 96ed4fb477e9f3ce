/** What waits in sockets: the packets of sk-queues.img, in order, each with the number of the socket that it waits in. */
import type { ImageDir } from "../../images/image-dir.ts";
import type { Payload } from "../../images/image-file.ts";
import { fileName, IMAGES } from "../../images/kinds.ts";
import type { ScmEntry, SkPacketEntry } from "../../images/schema/generated/sockets.ts";
import { SCM } from "../../linux/socket-messages.ts";
import { FileRestoreError } from "../errors.ts";

export class QueuesDump {
  #writer: ReturnType<ImageDir["writer"]> | undefined;

  constructor(private readonly images: ImageDir) {}

  /** Adds a packet of socket `entry.id_for`, behind those that it has. @throws ImageError */
  add(entry: Omit<SkPacketEntry, "length">, bytes: Uint8Array): void {
    this.#writer ??= this.images.writer(IMAGES.sk_queues);
    this.#writer.add({ ...entry, length: bytes.length }, bytes);
  }

  /** @throws ImageError */
  finish(): void {
    const writer = this.#writer ?? this.images.writer(IMAGES.sk_queues);
    this.#writer = undefined;
    writer.close();
  }
}

/** The descriptors beside a packet, as entries of files.img. */
export function rightsIn(scm: readonly ScmEntry[]): number[] {
  return scm.filter(({ type }) => type === SCM.RIGHTS).flatMap(({ rights }) => rights);
}

/**
 * Sockets in whose queues entry `id` of files.img waits, as entries of it, however often.
 * @throws ImageError
 */
export function socketsWith(images: ImageDir, id: number): number[] {
  if (!images.has(IMAGES.sk_queues)) return [];
  using reader = images.reader(IMAGES.sk_queues);
  const sockets: number[] = [];
  for (const { entry } of reader) if (rightsIn(entry.scm).includes(id)) sockets.push(entry.id_for);
  return sockets;
}

/** A packet as it stands in the image; its bytes are read when they are wanted. */
export interface StoredPacket {
  readonly entry: SkPacketEntry;
  readonly payload: Payload;
}

export class QueuesRestore implements Disposable {
  #packets: ReadonlyMap<number, readonly StoredPacket[]> | undefined;
  #reader: { close(): void } | undefined;

  constructor(private readonly images: ImageDir) {}

  /**
   * What waits in the socket that is entry `id` of files.img, first come first.
   * @throws ImageError; FileRestoreError for what nobody can send
   */
  of(id: number): readonly StoredPacket[] {
    this.#packets ??= this.#read();
    return this.#packets.get(id) ?? [];
  }

  #read(): ReadonlyMap<number, readonly StoredPacket[]> {
    const all = new Map<number, StoredPacket[]>();
    if (!this.images.has(IMAGES.sk_queues)) return all;
    const reader = this.images.reader(IMAGES.sk_queues);
    this.#reader = reader;
    for (const { entry, payload } of reader) {
      for (const { type } of entry.scm)
        if (type !== SCM.RIGHTS) refuse(entry, `a control message of type ${type}`);
      const packets = all.get(entry.id_for);
      if (packets === undefined) all.set(entry.id_for, [{ entry, payload }]);
      else packets.push({ entry, payload });
    }
    return all;
  }

  [Symbol.dispose](): void {
    this.#reader?.close();
  }
}

function refuse({ id_for }: SkPacketEntry, what: string): never {
  throw new FileRestoreError(
    `${fileName(IMAGES.sk_queues)}: socket ${id_for}: ${what} waits in it, which cannot be restored`,
  );
}
