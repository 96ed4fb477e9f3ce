/** The client of a page server: the pages of a dump go to it instead of to files. */

import type { Id } from "../images/image-dir.ts";
import { KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { hostOf } from "../linux/host-address.ts";
import { PAGE_SIZE } from "../linux/memory.ts";
import { connect, IPPROTO, openSocket, SOCK, setInt } from "../linux/socket.ts";
import { encodeInet } from "../linux/socket-address.ts";
import { TCP } from "../linux/socket-options.ts";
import { s32 } from "../linux/struct.ts";
import { log } from "../log.ts";
import type { PageSink, StoredPages } from "../memory/page-sink.ts";
import { type PagemapKind, PE } from "../memory/pages.ts";
import type { PagesBefore, UnwrittenPages } from "../memory/parent-pages.ts";
import { OptionError, type Options } from "../options.ts";
import { CHUNK, command, destination, PageServerError, PS, Stream, withFlags } from "./page-protocol.ts";

/** What is asked of a page server. */
interface Asked {
  readonly cmd: number;
  readonly dst: bigint;
  readonly start?: number;
  readonly pages?: number;
}

/** A connection to a page server. To be disposed of. */
export class PageClient implements PageSink, Disposable {
  readonly #stream: Stream;
  readonly #buffer = new Uint8Array(CHUNK);

  private constructor(
    private readonly socket: Fd,
    /** Whoever has given us the socket may keep it open: the server is told to go. */
    private readonly isLent: boolean,
  ) {
    this.#stream = new Stream(socket.number);
  }

  /** The one that the options ask for; undefined where they do not. @throws OptionError, PageServerError */
  static of({ pageServer, address, port, psSocket }: Options): PageClient | undefined {
    if (!pageServer) return undefined;
    if (psSocket !== undefined) return new PageClient(Fd.own(psSocket), true);
    if (address === undefined || port === undefined)
      throw new OptionError("--page-server needs --address and --port, or --ps-socket");
    const host = hostOf(address);
    if (host === undefined)
      throw new OptionError(`--address ${address}: no address, and no name of /etc/hosts`);
    const socket = openSocket(host.family, SOCK.STREAM);
    try {
      connect(socket.number, encodeInet({ ...host, port }));
      setInt(socket.number, IPPROTO.TCP, TCP.NODELAY, 1);
    } catch (error) {
      socket.close();
      if (!(error instanceof KernelError)) throw error;
      throw new PageServerError(
        `cannot reach the page server at ${address}, port ${port}: ${error.message}`,
        {
          cause: error,
        },
      );
    }
    log.info("page-client", `pages go to ${address}, port ${port}`);
    return new PageClient(socket, false);
  }

  store(kind: PagemapKind, id: Id, pages: StoredPages): void {
    const dst = destination(kind, numberOf(id));
    this.#ask({ cmd: PS.OPEN2, dst });
    this.#answer(1);
    const { start: starts, end: ends, flags } = pages.runs;
    let offset = 0;
    starts.forEach((start, i) => {
      const length = (ends[i] ?? start) - start;
      const flag = flags[i] ?? PE.PRESENT;
      this.#ask({ cmd: withFlags(PS.ADD_F, flag), dst, start, pages: length / PAGE_SIZE });
      if ((flag & PE.PRESENT) === 0) return;
      this.#send(pages, offset, length);
      offset += length;
    });
  }

  /** Only what is known to be unwritten can be left to the server's images: we do not see those. */
  before(
    kind: PagemapKind,
    id: Id,
    _limit: number,
    _open: () => Disposable,
    unwritten?: UnwrittenPages,
  ): PagesBefore | undefined {
    if (unwritten === undefined) return undefined;
    this.#ask({ cmd: PS.PARENT, dst: destination(kind, numberOf(id)) });
    if (s32.read(this.#answer(s32.size), 0) !== 1) return undefined;
    return {
      eachPart: (start, end, use) => unwritten.eachPart(start, end, use),
      [Symbol.dispose]: () => {},
    };
  }

  /** All is sent: waits until the server has it. @throws PageServerError */
  finish(): void {
    this.#ask({ cmd: this.isLent ? PS.FORCE_CLOSE : PS.CLOSE, dst: 0n });
    const status = s32.read(this.#answer(s32.size), 0);
    if (status !== 0) throw new PageServerError(`the page server ends with ${status}`);
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }

  #ask({ cmd, dst, start = 0, pages = 0 }: Asked): void {
    this.#stream.send(command.encode({ cmd, nr_pages: BigInt(pages), vaddr: BigInt(start), dst_id: dst }));
  }

  #answer(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    if (!this.#stream.receive(bytes)) throw new PageServerError("the page server has gone");
    return bytes;
  }

  #send(pages: StoredPages, offset: number, length: number): void {
    for (let done = 0; done < length; ) {
      const part = this.#buffer.subarray(0, Math.min(CHUNK, length - done));
      const got = pages.readAt(part, offset + done);
      this.#stream.send(part.subarray(0, got));
      done += got;
    }
  }
}

/** Pages belong to what has a number. */
function numberOf(id: Id): bigint {
  return BigInt(id);
}
