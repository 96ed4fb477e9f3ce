/** Addresses of hosts as people write them. */

import { ERRNO, isErrno } from "./errno.ts";
import { readText } from "./io.ts";
import { AF } from "./socket.ts";

/** A host: 4 or 16 bytes, as on the wire. */
export interface Host {
  readonly family: number;
  readonly host: Uint8Array;
}

/** Of an address in figures, v4 or v6, or of a name that /etc/hosts knows; undefined of anything else. @throws KernelError */
export function hostOf(text: string): Host | undefined {
  return inFigures(text) ?? byName(text);
}

function inFigures(text: string): Host | undefined {
  const v4 = v4Of(text);
  if (v4 !== undefined) return { family: AF.INET, host: v4 };
  const v6 = v6Of(text);
  return v6 === undefined ? undefined : { family: AF.INET6, host: v6 };
}

function v4Of(text: string): Uint8Array | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  return parts?.every((part) => part < 256) ? Uint8Array.from(parts) : undefined;
}

const GROUPS = 8;

function v6Of(text: string): Uint8Array | undefined {
  // The last two groups may be written as a v4 address.
  const [, head = text, tail] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text) ?? [];
  const v4 = tail === undefined ? undefined : v4Of(tail);
  if (tail !== undefined && v4 === undefined) return undefined;
  const inHex = v4 === undefined ? head : `${head}${hex(v4, 0)}:${hex(v4, 2)}`;
  const halves = inHex.split("::");
  if (halves.length > 2) return undefined;
  const [before = [], behind = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = GROUPS - before.length - behind.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...before, ...Array.from({ length: missing }, () => "0"), ...behind];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}

function hex(bytes: Uint8Array, at: number): string {
  return (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16);
}

function byName(name: string): Host | undefined {
  let text: string;
  try {
    text = readText("/etc/hosts");
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT)) return undefined;
    throw error;
  }
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (names.includes(name)) return inFigures(address);
  }
  return undefined;
}
