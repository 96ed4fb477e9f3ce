/**
 * A connection of CRIU's RPC: a Unix socket of type SOCK_SEQPACKET, one message of rpc.proto a packet. Who is at the other
 * end may be anybody: packets are limited in size, and what comes beside their bytes is thrown away.
 */

import { ImageError } from "../images/error.ts";
import { CriuReq, CriuReqType, CriuResp } from "../images/schema/generated/rpc.ts";
import { decode, encode } from "../images/wire.ts";
import { BaseError } from "../linux/base-error.ts";
import { ERRNO, errnoName, KernelError } from "../linux/errno.ts";
import { closeAll } from "../linux/fd.ts";
import { NR } from "../linux/nr.ts";
import { getOption, SO, SOL } from "../linux/socket.ts";
import {
  type Credentials,
  credentialsOf,
  MSG,
  rightsMessage,
  rightsOf,
  SCM,
  tryReceive,
  trySend,
} from "../linux/socket-messages.ts";
import { addressOf, rawSyscall } from "../linux/syscall.ts";

/** No request is larger; the largest that runc sends, with hundreds of mounts, has some 40 KiB. */
export const MOST_BYTES = 1 << 20;
/** struct ucred has 12 bytes. */
const UCRED = 12;

/** A packet that is no request. */
export class RequestError extends BaseError {
  override readonly name = "RequestError";
  readonly kind = "request";
}

/** The client is gone, or does not take what is sent. */
export class ClientGoneError extends BaseError {
  override readonly name = "ClientGoneError";
  readonly kind = "client";
}

/** What a packet asks for. @throws RequestError */
export function decodeRequest(bytes: Uint8Array): CriuReq {
  try {
    return decode(CriuReq, bytes);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new RequestError(`the request cannot be read: ${error.message}`);
  }
}

export class Connection {
  /** The socket is lent: whoever made the connection closes it. */
  constructor(readonly fd: number) {}

  /** Who made the connection, or the pair of sockets. @throws KernelError when this is no such socket */
  peer(): Credentials {
    return credentialsOf(getOption(this.fd, SOL.SOCKET, SO.PEERCRED, UCRED));
  }

  /** The next request; undefined when the client has gone. @throws RequestError, after which another one may come */
  receive(): CriuReq | undefined {
    const length = this.#nextLength();
    if (length === 0) return undefined;
    const buffer = new Uint8Array(Math.min(length, MOST_BYTES));
    const packet = tryReceive(this.fd, buffer);
    if (typeof packet === "number") throw new ClientGoneError(`recvmsg: ${errnoName(-packet)}`);
    for (const message of packet.control)
      if (message.level === SOL.SOCKET && message.type === SCM.RIGHTS) closeAll(rightsOf(message));
    if (length > MOST_BYTES) {
      throw new RequestError(`the request has ${length} bytes; ${MOST_BYTES} are allowed`);
    }
    return decodeRequest(packet.bytes);
  }

  /** Waits for a packet and gives its length, 0 at the end of the connection. */
  #nextLength(): number {
    const byte = new Uint8Array(1);
    for (;;) {
      const length = rawSyscall(NR.recvfrom, this.fd, addressOf(byte), 1, MSG.PEEK | MSG.TRUNC);
      if (length >= 0) return length;
      if (length === -ERRNO.ECONNRESET) return 0;
      if (length !== -ERRNO.EINTR) throw new KernelError("recvfrom", `descriptor ${this.fd}`, -length);
    }
  }

  /** Sends a response, with a duplicate of descriptor `fd` if given. @throws ClientGoneError */
  send(response: CriuResp, fd?: number): void {
    const bytes = encode(CriuResp, response);
    const control = fd === undefined ? [] : [rightsMessage([fd])];
    for (;;) {
      const sent = trySend(this.fd, { bytes, control });
      if (sent >= 0) return;
      if (sent !== -ERRNO.EINTR)
        throw new ClientGoneError(`the client does not take the answer: ${errnoName(-sent)}`);
    }
  }

  /** Answers what is no request, or cannot be answered otherwise. @throws ClientGoneError */
  sendError(message: string): void {
    this.send({ type: CriuReqType.EMPTY, success: false, cr_errmsg: message });
  }
}
