/**
 * Groups of multicast that a socket is a member of, and from whom it takes their datagrams. The kernel has no list of them: a socket is
 * asked about each group that anybody on an interface is a member of.
 */
import type { SkMemberEntry } from "../../images/schema/generated/sockets.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { interfaceIndex, interfaceName } from "../../linux/interface-names.ts";
import { readText } from "../../linux/io.ts";
import { AF, SOL, setOption, tryGetOption } from "../../linux/socket.ts";
import { decodeInet, encodeInet } from "../../linux/socket-address.ts";
import { IP } from "../../linux/socket-options.ts";
import { bytes, struct, u32 } from "../../linux/struct.ts";
import { FileRestoreError } from "../errors.ts";

const STORAGE = 128;
/** struct group_req, struct group_filter without its list (include/uapi/linux/in.h). */
const groupReq = struct({ interface: u32, pad: u32, group: bytes(STORAGE) });
const groupFilter = struct({ interface: u32, pad: u32, group: bytes(STORAGE), mode: u32, count: u32 });
/** As many sources as the kernel lets anybody name without more rights (net.ipv4.igmp_max_msf), and more. */
const MOST_SOURCES = 256;
/** MCAST_EXCLUDE without sources: everybody is heard. */
const EXCLUDE = 0;

interface Group {
  readonly interface: number;
  readonly host: Uint8Array;
}

/** The groups of /proc/PID/net/igmp: interfaces, with their groups indented. */
function v4Groups(text: string): Group[] {
  const groups: Group[] = [];
  let index = 0;
  for (const line of text.split("\n").slice(1)) {
    const [first = ""] = line.trim().split(/\s+/);
    if (/^\d/.test(line)) index = Number.parseInt(first, 10);
    else if (/^[0-9A-F]{8}$/.test(first))
      groups.push({ interface: index, host: Uint8Array.fromHex(first).reverse() });
  }
  return groups;
}

/** Those of /proc/PID/net/igmp6: one a line. */
function v6Groups(text: string): Group[] {
  return text.split("\n").flatMap((line) => {
    const [index, , host = ""] = line.trim().split(/\s+/);
    return host.length === 32 ? [{ interface: Number(index), host: Uint8Array.fromHex(host) }] : [];
  });
}

function groupsOf(pid: number, family: number): Group[] {
  const v6 = family === AF.INET6;
  try {
    const text = readText(`/proc/${pid}/net/${v6 ? "igmp6" : "igmp"}`);
    return v6 ? v6Groups(text) : v4Groups(text);
  } catch (error) {
    // A kernel without multicast.
    if (error instanceof KernelError && error.errno === ERRNO.ENOENT) return [];
    throw error;
  }
}

function storage(family: number, host: Uint8Array): Uint8Array {
  const address = new Uint8Array(STORAGE);
  address.set(encodeInet({ family, port: 0, host }));
  return address;
}

function hostIn(address: Uint8Array): Uint8Array {
  return decodeInet(address)?.host ?? new Uint8Array(0);
}

const levelOf = (family: number): number => (family === AF.INET6 ? SOL.IPV6 : SOL.IP);

/** Asks sockets for their memberships; one for each dump. */
export class MembersDump {
  readonly #groups = new Map<string, Group[]>();

  /** `pid` lives where the socket is of. @throws KernelError */
  of(fd: number, pid: number, family: number): SkMemberEntry[] {
    const key = `${pid}:${family}`;
    let groups = this.#groups.get(key);
    if (groups === undefined) {
      groups = groupsOf(pid, family);
      this.#groups.set(key, groups);
    }
    return groups.flatMap((group) => memberOf(fd, family, group) ?? []);
  }
}

function memberOf(fd: number, family: number, group: Group): SkMemberEntry | undefined {
  const value = new Uint8Array(groupFilter.size + MOST_SOURCES * STORAGE);
  groupFilter.encodeInto(value, 0, {
    interface: group.interface,
    group: storage(family, group.host),
    count: MOST_SOURCES,
  });
  const length = tryGetOption(fd, levelOf(family), IP.MCAST_MSFILTER, value);
  if (length < 0) return undefined;
  const ifname = interfaceName(fd, group.interface);
  if (ifname === undefined) return undefined;
  const { mode, count } = groupFilter.decode(value);
  const sources = Array.from({ length: Math.min(count, MOST_SOURCES) }, (_, i) => {
    const at = groupFilter.size + i * STORAGE;
    return hostIn(value.subarray(at, at + STORAGE));
  });
  return { ifname, group: group.host, mode, sources };
}

/** Makes a socket a member again. @throws KernelError, FileRestoreError */
export function restoreMembers(
  fd: number,
  family: number,
  members: readonly SkMemberEntry[],
  what: string,
): void {
  const level = levelOf(family);
  for (const { ifname, group, mode, sources } of members) {
    const index = interfaceIndex(fd, ifname);
    if (index === undefined) throw new FileRestoreError(`${what}: there is no interface ${ifname}`);
    const address = storage(family, group);
    setOption(fd, level, IP.MCAST_JOIN_GROUP, groupReq.encode({ interface: index, group: address }));
    if (mode === EXCLUDE && sources.length === 0) continue;
    const filter = new Uint8Array(groupFilter.size + sources.length * STORAGE);
    groupFilter.encodeInto(filter, 0, { interface: index, group: address, mode, count: sources.length });
    sources.forEach((source, i) => {
      filter.set(storage(family, source), groupFilter.size + i * STORAGE);
    });
    setOption(fd, level, IP.MCAST_MSFILTER, filter);
  }
}
