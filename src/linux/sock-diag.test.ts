import { expect, test } from "bun:test";
import { inetSockets } from "./inet-diag.ts";
import { fstat } from "./io.ts";
import { NETLINK, Netlink, NLM } from "./netlink.ts";
import { NETLINK_CONNECTED, netlinkSockets } from "./netlink-diag.ts";
import { packetSockets } from "./packet-diag.ts";
import { TCP_STATE } from "./sock-diag.ts";
import {
  AF,
  accept,
  bind,
  connect,
  IPPROTO,
  listen,
  openSocket,
  openSocketPair,
  SHUT,
  SOCK,
  shutdown,
  socketName,
} from "./socket.ts";
import { decodeInet, encodeInet, encodeNetlink, encodeUnix } from "./socket-address.ts";
import { send } from "./socket-messages.ts";
import { textToBytes } from "./text.ts";
import { unixSockets } from "./unix-diag.ts";

const inodeOf = (fd: { number: number }) => fstat(fd.number).ino;
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

test("Unix sockets: names, peers, queues, who waits", () => {
  using netlink = Netlink.open(NETLINK.SOCK_DIAG);
  const [one, two] = openSocketPair(AF.UNIX, SOCK.STREAM);
  using listener = openSocket(AF.UNIX, SOCK.STREAM);
  using client = openSocket(AF.UNIX, SOCK.STREAM);
  try {
    const name = textToBytes(`\0criu-ts-test-${inodeOf(listener)}`);
    bind(listener.number, encodeUnix(name));
    listen(listener.number, 7);
    connect(client.number, encodeUnix(name));
    send(one.number, { bytes: textToBytes("hello") });
    shutdown(two.number, SHUT.WR);
    const all = unixSockets(netlink);
    const listening = all.get(inodeOf(listener));
    expect(listening?.name).toEqual(name);
    expect(listening?.state).toBe(TCP_STATE.LISTEN);
    expect(listening?.waiting).toEqual([inodeOf(client)]);
    expect(listening?.receiveQueue).toBe(1);
    expect(listening?.sendQueue).toBe(7);
    expect(all.get(inodeOf(client))?.peer).toBe(0);
    expect(all.get(inodeOf(one))?.peer).toBe(inodeOf(two));
    expect(all.get(inodeOf(two))?.receiveQueue).toBe(5);
    expect(all.get(inodeOf(two))?.shutdown).toBe(2);
  } finally {
    one.close();
    two.close();
  }
});

test("TCP, UDP and MPTCP sockets: addresses, states, backlog", () => {
  using netlink = Netlink.open(NETLINK.SOCK_DIAG);
  using listener = openSocket(AF.INET, SOCK.STREAM);
  using client = openSocket(AF.INET, SOCK.STREAM);
  using second = openSocket(AF.INET, SOCK.STREAM);
  bind(listener.number, encodeInet({ family: AF.INET, port: 0, host: LOOPBACK }));
  listen(listener.number, 5);
  const address = socketName(listener.number);
  connect(client.number, address);
  connect(second.number, address);
  using accepted = accept(listener.number);
  send(client.number, { bytes: textToBytes("some data") });
  const port = decodeInet(address)?.port;
  const all = inetSockets(netlink, AF.INET, IPPROTO.TCP);
  expect(all.get(inodeOf(listener))).toMatchObject({
    state: TCP_STATE.LISTEN,
    sourcePort: port,
    source: LOOPBACK,
    receiveQueue: 1,
    sendQueue: 5,
  });
  expect(all.get(inodeOf(client))).toMatchObject({
    state: TCP_STATE.ESTABLISHED,
    destinationPort: port,
    destination: LOOPBACK,
    layer: undefined,
  });
  expect(all.get(inodeOf(accepted))?.receiveQueue).toBe(9);

  using datagrams = openSocket(AF.INET6, SOCK.DGRAM);
  bind(datagrams.number, encodeInet({ family: AF.INET6, port: 0, host: new Uint8Array(16) }));
  const udp = inetSockets(netlink, AF.INET6, IPPROTO.UDP).get(inodeOf(datagrams));
  expect(udp?.sourcePort).toBe(decodeInet(socketName(datagrams.number))?.port);
  expect(udp?.source).toEqual(new Uint8Array(16));
  expect(inetSockets(netlink, AF.INET, IPPROTO.MPTCP)).toBeInstanceOf(Map);
});

test("packet and netlink sockets", () => {
  using netlink = Netlink.open(NETLINK.SOCK_DIAG);
  using packet = openSocket(AF.PACKET, SOCK.RAW, 0);
  expect(packetSockets(netlink).get(inodeOf(packet))).toMatchObject({
    type: SOCK.RAW,
    protocol: 0,
    index: 0,
  });
  using route = openSocket(AF.NETLINK, SOCK.DGRAM, NETLINK.ROUTE);
  bind(route.number, encodeNetlink(0, 0x11));
  const found = netlinkSockets(netlink).get(inodeOf(route));
  expect(found?.protocol).toBe(NETLINK.ROUTE);
  expect(found?.state).not.toBe(NETLINK_CONNECTED);
  connect(route.number, encodeNetlink(0));
  expect(netlinkSockets(netlink).get(inodeOf(route))?.state).toBe(NETLINK_CONNECTED);
  expect(found?.groups[0]).toBe(0x11);
});

test("a refusal names the request, and what the kernel says", () => {
  using route = Netlink.open(NETLINK.ROUTE);
  const RTM_NEWLINK = 16;
  const request = { type: RTM_NEWLINK, flags: NLM.CREATE, body: new Uint8Array(1) };
  expect(() => route.tell("a link without a head", request)).toThrow("a link without a head");
});
