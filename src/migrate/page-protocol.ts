/**
 * What a page server and its client say to each other: CRIU 4.2's protocol over a stream. The client sends commands of 32 bytes, a
 * run of pages followed by their bytes; the server answers some of them.
 */

import { IMAGES } from "../images/kinds.ts";
import { BaseError } from "../linux/base-error.ts";
import { timeval } from "../linux/clock.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { NR } from "../linux/nr.ts";
import { SO, SOL, setOption } from "../linux/socket.ts";
import { struct, u32, u64 } from "../linux/struct.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";
import type { PagemapKind } from "../memory/pages.ts";

/** struct page_server_iov */
export const command = struct({ cmd: u32, nr_pages: u64, vaddr: u64, dst_id: u64 });

export const PS = {
  ADD: 1,
  HOLE: 2,
  OPEN: 3,
  OPEN2: 4,
  PARENT: 5,
  ADD_F: 6,
  GET: 7,
  CLOSE: 0x1023,
  FORCE_CLOSE: 0x1024,
} as const;

/** The low bits are the command, the high ones flags of a pagemap entry. */
const COMMAND_BITS = 16;
const COMMAND_MASK = (1 << COMMAND_BITS) - 1;

export function withFlags(cmd: number, flags: number): number {
  return flags * (1 << COMMAND_BITS) + cmd;
}

export function splitCommand(cmd: number): { readonly cmd: number; readonly flags: number } {
  return { cmd: cmd & COMMAND_MASK, flags: cmd >>> COMMAND_BITS };
}

/** What pages belong to: the low byte says what kind of image lists them, the rest is its number. */
const KINDS: ReadonlyMap<number, PagemapKind> = new Map([
  [1, IMAGES.pagemap],
  [2, IMAGES.shmem_pagemap],
]);
const TYPE_BITS = 8n;

export function destination(kind: PagemapKind, id: number | bigint): bigint {
  const type = [...KINDS].find(([, each]) => each === kind)?.[0] ?? 0;
  return (BigInt(id) << TYPE_BITS) | BigInt(type);
}

/** Undefined where there is no such kind. */
export function splitDestination(
  dst: bigint,
): { readonly kind: PagemapKind; readonly id: bigint } | undefined {
  const kind = KINDS.get(Number(dst & 0xffn));
  return kind === undefined ? undefined : { kind, id: dst >> TYPE_BITS };
}

/** What a peer says makes no sense, or it has gone. */
export class PageServerError extends BaseError {
  override readonly name = "PageServerError";
  readonly kind = "network";
}

/** So many bytes go through at a time. */
export const CHUNK = 512 << 10;
/** Seconds without a word from the other side after which we give up. */
const PATIENCE = 60;

/** A stream of bytes to the other side; the descriptor is lent. */
export class Stream {
  constructor(readonly fd: number) {
    const time = timeval.encode({ sec: BigInt(PATIENCE), usec: 0n });
    for (const name of [SO.RCVTIMEO, SO.SNDTIMEO]) setOption(fd, SOL.SOCKET, name, time);
  }

  /** Sends all of it. @throws PageServerError */
  send(bytes: Uint8Array): void {
    const address = addressOf(bytes);
    for (let done = 0; done < bytes.length; ) {
      const sent = rawSyscall(NR.sendto, this.fd, address + done, bytes.length - done, MSG_NOSIGNAL, 0, 0);
      if (sent > 0) done += sent;
      else if (sent !== -ERRNO.EINTR) throw refusal("sendto", sent);
    }
  }

  /** Fills `into`; false where the stream has ended before the first byte. @throws PageServerError */
  receive(into: Uint8Array): boolean {
    const address = addressOf(into);
    for (let done = 0; done < into.length; ) {
      const got = rawSyscall(NR.recvfrom, this.fd, address + done, into.length - done, 0, 0, 0);
      if (got > 0) done += got;
      else if (got === 0 && done === 0) return false;
      else if (got === 0) throw new PageServerError("the other side has gone in the middle");
      else if (got !== -ERRNO.EINTR) throw refusal("recvfrom", got);
    }
    return true;
  }
}

const MSG_NOSIGNAL = 0x4000;

function refusal(call: string, result: number): PageServerError {
  const errno = -result;
  if (errno === ERRNO.EAGAIN)
    return new PageServerError(`the other side says nothing for ${PATIENCE} seconds`);
  const cause = new KernelError(call, "the page server's stream", errno);
  return new PageServerError(cause.message, { cause });
}
