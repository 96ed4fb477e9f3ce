/**
 * Where a system call is made: by us, by a helper of ours that lives in other namespaces (helper.ts), or inside a process that we
 * hold (inside.ts). What is to be made in a network namespace, opened in a mount namespace or with the rights of a user namespace
 * is made there by the same code, and taken out.
 *
 *     const place = places.at({ net: namespace.number });
 *     const socket = place.take(must(place, "a socket", NR.socket, AF.INET, SOCK.STREAM, 0));
 *     const [there] = process.give([socket.number]);
 */
import type { Fd } from "../../linux/fd.ts";
import { NR } from "../../linux/nr.ts";
import { checkResult } from "../../linux/syscall.ts";

/** A number; bytes, of which the call gets the address, and that are as it left them afterwards; a path or another text. */
export type PlaceArgument = number | Uint8Array | string;

/** SCM_MAX_FD (include/net/scm.h): so many descriptors go with one message. */
export const MOST_GIVEN = 253;

export interface Place {
  /** What it is, in messages: "in process 7", "in other namespaces". */
  readonly where: string;
  /** Makes a call; gives its raw result, an errno negative. */
  call(nr: number, ...args: readonly PlaceArgument[]): number;
  /**
   * Duplicates of descriptors of ours, there, with FD_CLOEXEC: their numbers there, the lowest free ones in ascending order. They
   * stay until they are closed there. @throws KernelError
   */
  give(fds: readonly number[]): number[];
  /** A duplicate of a descriptor that is open there; that one stays open. @throws KernelError */
  take(number: number): Fd;
}

/** A call that has to succeed; `object` is what it works on. Gives its result. @throws KernelError */
export function must(place: Place, object: string, nr: number, ...args: readonly PlaceArgument[]): number {
  return checkResult(place.call(nr, ...args), nr, `${object} ${place.where}`);
}

/** As `must`, of a call that opens something that is wanted here: our descriptor, and none is left there. @throws KernelError */
export function take(place: Place, object: string, nr: number, ...args: readonly PlaceArgument[]): Fd {
  const number = must(place, object, nr, ...args);
  try {
    return place.take(number);
  } finally {
    place.call(NR.close, number);
  }
}
