/** The server's side of a page server's stream: pages that come are put into images, as a dump would put them there. */

import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { Fd } from "../linux/fd.ts";
import { writeAll } from "../linux/io.ts";
import { PAGE_SIZE, TASK_SIZE } from "../linux/memory.ts";
import { s32 } from "../linux/struct.ts";
import { log } from "../log.ts";
import {
  createPages,
  nextPagesId,
  Pagemap,
  type PagemapKind,
  PE,
  RunList,
  writePagemap,
} from "../memory/pages.ts";
import {
  CHUNK,
  command,
  PageServerError,
  PS,
  type Stream,
  splitCommand,
  splitDestination,
} from "./page-protocol.ts";

const KNOWN_FLAGS = PE.PARENT | PE.LAZY | PE.PRESENT;

/** The pages of one process or object, as far as they have come. */
class Incoming implements Disposable {
  readonly #runs = new RunList();
  readonly #pagesId: number;
  readonly #file: Fd;
  readonly #before: Pagemap | undefined;
  readonly #buffer = new Uint8Array(CHUNK);

  /** @throws ImageError, KernelError */
  constructor(
    private readonly images: ImageDir,
    readonly dst: bigint,
    private readonly kind: PagemapKind,
    private readonly id: bigint,
  ) {
    const before = images.parent();
    if (before?.has(kind, id) === true) this.#before = Pagemap.read(before, kind, id, this.#limit);
    this.#pagesId = nextPagesId(images);
    this.#file = Fd.own(createPages(images, this.#pagesId));
  }

  get hasParent(): boolean {
    return this.#before !== undefined;
  }

  get #limit(): number {
    return this.kind === IMAGES.pagemap ? TASK_SIZE : Number.MAX_SAFE_INTEGER;
  }

  /** Takes a run of pages, and their bytes where they follow. @throws PageServerError, KernelError */
  add(stream: Stream, start: number, pages: number, flags: number): void {
    const end = start + pages * PAGE_SIZE;
    const floor = this.#runs.end.at(-1) ?? 0;
    const where = `${pages} pages at 0x${start.toString(16)} of ${this.id}`;
    if (!Number.isSafeInteger(end) || pages === 0 || start % PAGE_SIZE !== 0 || end > this.#limit)
      throw new PageServerError(`${where}: out of range`);
    if (start < floor) throw new PageServerError(`${where}: not behind those before`);
    if ((flags & ~KNOWN_FLAGS) !== 0 || (flags & (PE.PRESENT | PE.PARENT)) === 0)
      throw new PageServerError(`${where}: flags 0x${flags.toString(16)} are not known`);
    if ((flags & PE.PRESENT) === 0) this.#refuseUnknown(start, end, where);
    this.#runs.add(start, end, flags);
    if ((flags & PE.PRESENT) === 0) return;
    for (let left = end - start; left > 0; ) {
      const part = this.#buffer.subarray(0, Math.min(CHUNK, left));
      if (!stream.receive(part)) throw new PageServerError("the client has gone in the middle of pages");
      writeAll(this.#file.number, part);
      left -= part.length;
    }
  }

  /** What is left to the images before has to be there. */
  #refuseUnknown(start: number, end: number, where: string): void {
    const refuse = () => {
      throw new PageServerError(`${where}: they are not in the images before`);
    };
    if (this.#before === undefined) refuse();
    this.#before?.eachPart(start, end, (_from, _to, offset) => {
      if (offset === undefined) refuse();
    });
  }

  /** All have come. @throws KernelError */
  finish(): void {
    writePagemap(this.images, this.kind, this.id, this.#pagesId, this.#runs);
    log.debug(
      "page-server",
      `${this.id}: ${this.#runs.pages} pages, ${this.#runs.inParent} in the images before`,
    );
  }

  [Symbol.dispose](): void {
    this.#file.close();
    this.#before?.close();
  }
}

/** Serves one client, until that says that all is sent. @throws PageServerError, ImageError, KernelError */
export function receivePages(stream: Stream, images: ImageDir): void {
  const bytes = new Uint8Array(command.size);
  let incoming: Incoming | undefined;
  const open = (dst: bigint): Incoming => {
    const found = splitDestination(dst);
    if (found === undefined) throw new PageServerError(`pages of an unknown kind: 0x${dst.toString(16)}`);
    incoming?.finish();
    incoming?.[Symbol.dispose]();
    incoming = new Incoming(images, dst, found.kind, found.id);
    return incoming;
  };
  try {
    for (;;) {
      if (!stream.receive(bytes)) throw new PageServerError("the client has gone before it was done");
      const { cmd: whole, nr_pages, vaddr, dst_id } = command.decode(bytes);
      const { cmd, flags } = splitCommand(whole);
      switch (cmd) {
        case PS.OPEN:
          open(dst_id);
          break;
        case PS.OPEN2:
          stream.send(Uint8Array.of(open(dst_id).hasParent ? 1 : 0));
          break;
        case PS.PARENT:
          stream.send(answer(hasParent(images, dst_id) ? 1 : 0));
          break;
        case PS.ADD:
        case PS.ADD_F:
        case PS.HOLE: {
          const one = incoming?.dst === dst_id ? incoming : open(dst_id);
          const given = cmd === PS.ADD_F ? flags : cmd === PS.ADD ? PE.PRESENT : PE.PARENT;
          one.add(stream, Number(vaddr), Number(nr_pages), given);
          break;
        }
        case PS.CLOSE:
        case PS.FORCE_CLOSE:
          incoming?.finish();
          stream.send(answer(0));
          return;
        default:
          throw new PageServerError(`command ${cmd} is not known`);
      }
    }
  } finally {
    incoming?.[Symbol.dispose]();
  }
}

function hasParent(images: ImageDir, dst: bigint): boolean {
  const found = splitDestination(dst);
  return found !== undefined && images.parent()?.has(found.kind, found.id) === true;
}

function answer(value: number): Uint8Array {
  const bytes = new Uint8Array(s32.size);
  s32.write(bytes, 0, value);
  return bytes;
}
