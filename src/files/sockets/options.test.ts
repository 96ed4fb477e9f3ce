import { expect, test } from "bun:test";
import type { SkOptsEntry } from "../../images/schema/generated/sockets.ts";
import { SAME_OWNERS } from "../../linux/owners.ts";
import { AF, IPPROTO, openSocket, SO, SOCK, SOL, setInt, setOption } from "../../linux/socket.ts";
import { addressOf } from "../../linux/syscall.ts";
import {
  OptionsDump,
  options,
  restoreEarlyOptions,
  restoreOptions,
  type SocketType,
  socketType,
} from "./options.ts";

const UDP: SocketType = { family: AF.INET, type: SOCK.DGRAM, protocol: IPPROTO.UDP };
const TYPES: SocketType[] = [
  UDP,
  { family: AF.INET6, type: SOCK.STREAM, protocol: IPPROTO.TCP },
  { family: AF.UNIX, type: SOCK.SEQPACKET, protocol: 0 },
  { family: AF.NETLINK, type: SOCK.RAW, protocol: 0 },
];

function open({ family, type, protocol }: SocketType) {
  return openSocket(family, type, protocol);
}

/** What a socket has that got what another one had. */
function carried(type: SocketType, entry: SkOptsEntry): SkOptsEntry {
  using fresh = open(type);
  restoreEarlyOptions(fresh.number, entry, [], "test");
  restoreOptions(fresh.number, entry, [], "test", SAME_OWNERS);
  return new OptionsDump(SAME_OWNERS).dump(fresh.number, type, [], "test");
}

test("a socket just made has nothing in the list, and is told from others by its type", () => {
  for (const type of TYPES) {
    using fd = open(type);
    expect(socketType(fd.number)).toEqual(type);
    const entry = new OptionsDump(SAME_OWNERS).dump(fd.number, type, [], "test");
    expect(entry.others).toEqual([]);
    expect(carried(type, entry)).toEqual(entry);
  }
});

test("options of all kinds are carried", () => {
  using fd = open(UDP);
  const int = (name: number, value: number) => setInt(fd.number, SOL.SOCKET, name, value);
  int(SO.SNDBUF, 10_000);
  int(SO.RCVBUF, 20_000);
  int(SO.PRIORITY, 5);
  int(SO.MARK, 77);
  int(SO.BROADCAST, 1);
  int(SO.KEEPALIVE, 1);
  int(SO.TIMESTAMPNS, 1);
  int(SO.RXQ_OVFL, 1);
  int(SO.TIMESTAMPING, 0x11);
  setOption(fd.number, SOL.SOCKET, SO.LINGER, Uint8Array.of(1, 0, 0, 0, 9, 0, 0, 0));
  setOption(fd.number, SOL.SOCKET, SO.BINDTODEVICE, new TextEncoder().encode("lo"));
  setOption(fd.number, SOL.SOCKET, SO.RCVTIMEO, new Uint8Array(new BigInt64Array([3n, 250_000n]).buffer));
  // ret #65535; the filter is locked.
  const program = Uint8Array.of(6, 0, 0, 0, 0xff, 0xff, 0, 0);
  const fprog = new Uint8Array(16);
  fprog[0] = 1;
  new DataView(fprog.buffer).setBigUint64(8, BigInt(addressOf(program)), true);
  setOption(fd.number, SOL.SOCKET, SO.ATTACH_FILTER, fprog);
  int(SO.LOCK_FILTER, 1);
  const entry = new OptionsDump(SAME_OWNERS).dump(fd.number, UDP, [], "test");
  expect(entry).toMatchObject({
    so_priority: 5,
    so_mark: 77,
    so_broadcast: true,
    so_linger: 9,
    so_bound_dev: "lo",
  });
  expect(entry).toMatchObject({ so_rcv_tmo_sec: 3n, so_buf_lock: 3, so_filter: [0x0006_0000_0000_ffffn] });
  expect(entry.others.map(({ name }) => name)).toEqual([
    SO.TIMESTAMPNS,
    SO.RXQ_OVFL,
    SO.TIMESTAMPING,
    SO.LOCK_FILTER,
  ]);
  expect(carried(UDP, entry)).toEqual(entry);
});

test("an image gets no option set that no dump saves", () => {
  using fd = open(UDP);
  const entry = new OptionsDump(SAME_OWNERS).dump(fd.number, UDP, options(SOL.IP, [11]), "test");
  const odd = { ...entry, others: [{ level: SOL.IP, name: 4, value: Uint8Array.of(1, 0, 0, 0) }] };
  expect(() => restoreOptions(fd.number, odd, [], "test", SAME_OWNERS)).toThrow("option 4 of level 0");
  const long = { ...entry, others: [{ level: SOL.IP, name: 11, value: new Uint8Array(5) }] };
  expect(() => restoreOptions(fd.number, long, options(SOL.IP, [11]), "test", SAME_OWNERS)).toThrow(
    "option 11 of level 0",
  );
});
