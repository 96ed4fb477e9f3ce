/** Addresses over IP as the images have them: ports as numbers, hosts as words of 4 bytes. */
import type { InetSkEntry } from "../../images/schema/generated/sockets.ts";
import { AF } from "../../linux/socket.ts";
import type { InetAddress } from "../../linux/socket-address.ts";
import { u32 } from "../../linux/struct.ts";
import { FileRestoreError } from "../errors.ts";

/** Words of a host. */
const WORDS = { V4: 1, V6: 4 } as const;

/** The words of a host of 4 or 16 bytes. */
export function hostWords(host: Uint8Array): number[] {
  return Array.from({ length: host.length / u32.size }, (_, i) => u32.read(host, i * u32.size));
}

function hostOf(words: readonly number[], family: number, what: string): Uint8Array {
  const count = family === AF.INET6 ? WORDS.V6 : WORDS.V4;
  // Very old images have four words for IPv4 as well.
  if (words.length !== count && !(family === AF.INET && words.length > count))
    throw new FileRestoreError(`${what}: an address of ${words.length} words, not ${count}`);
  const host = new Uint8Array(count * u32.size);
  for (let i = 0; i < count; i++) u32.write(host, i * u32.size, words[i] ?? 0);
  return host;
}

function portOf(port: number, what: string): number {
  if (port > 0xffff) throw new FileRestoreError(`${what}: port ${port}`);
  return port;
}

type Names = Pick<InetSkEntry, "family" | "src_port" | "src_addr" | "dst_port" | "dst_addr">;

/** Its own address. @throws FileRestoreError */
export function sourceOf(entry: Names, what: string, scope = 0): InetAddress {
  const { family, src_port, src_addr } = entry;
  return { family, port: portOf(src_port, what), host: hostOf(src_addr, family, what), scope, flowinfo: 0 };
}

/** The peer's address; its port is 0 where it has none. @throws FileRestoreError */
export function destinationOf(entry: Names, what: string): InetAddress {
  const { family, dst_port, dst_addr } = entry;
  return {
    family,
    port: portOf(dst_port, what),
    host: hostOf(dst_addr, family, what),
    scope: 0,
    flowinfo: 0,
  };
}

/** `127.0.0.1:80`, `[::1]:80`: for messages. */
export function addressText({ family, host, port }: InetAddress): string {
  if (family === AF.INET) return `${host.join(".")}:${port}`;
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((host[2 * i] ?? 0) << 8) | (host[2 * i + 1] ?? 0)).toString(16),
  );
  return `[${groups.join(":").replace(/(?:^|:)0(?::0)+(?::|$)/, "::")}]:${port}`;
}
