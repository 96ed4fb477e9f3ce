import { expect, test } from "bun:test";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { fstat } from "../../linux/io.ts";
import { awaitThat } from "../../linux/sleep.ts";
import {
  AF,
  accept,
  bind,
  connect,
  ioctlInt,
  lastPeerName,
  listen,
  openSocket,
  SIOC,
  SOCK,
  SOL,
  setOption,
  socketName,
} from "../../linux/socket.ts";
import { decodeInet, encodeInet, type InetAddress } from "../../linux/socket-address.ts";
import { send } from "../../linux/socket-messages.ts";
import { bytes, struct, u8, u16, u32 } from "../../linux/struct.ts";
import { ourNet } from "../../namespaces/net/dump.ts";
import { ListedTcp } from "./listed-tcp.ts";

/** struct tcp_md5sig */
const signature = struct({
  address: bytes(128),
  flags: u8,
  prefix: u8,
  length: u16,
  index: u32,
  key: bytes(80),
});
const TCP_MD5SIG = 14;
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const MANY = 24;

function nameOf(bytes: Uint8Array): InetAddress {
  const name = decodeInet(bytes);
  if (name === undefined) throw new Error("no name of IP");
  return name;
}

/** False where the kernel has no such keys. */
function sign(fd: number): boolean {
  const address = encodeInet({ family: AF.INET, port: 0, host: LOOPBACK });
  try {
    setOption(fd, SOL.TCP, TCP_MD5SIG, signature.encode({ address, length: 3, key: Uint8Array.of(1, 2, 3) }));
    return true;
  } catch (error) {
    if (!isErrno(error, ERRNO.ENOPROTOOPT)) throw error;
    return false;
  }
}

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)(
  "sockets that are looked up alone and those that are found in a list are told of in the same way",
  () => {
    using listener = openSocket(AF.INET, SOCK.STREAM);
    using signed = openSocket(AF.INET, SOCK.STREAM);
    using listed = new ListedTcp();
    // In a namespace that is not ours the list is read soon.
    const net = { ...ourNet(0), isOurs: false };
    const find = (fd: number, peer?: Uint8Array) => {
      const own = nameOf(socketName(fd));
      const inode = fstat(fd).ino;
      return listed.find({ fd, inode, own, peer: peer && nameOf(peer), device: 0, net });
    };
    for (const { number } of [listener, signed]) {
      bind(number, encodeInet({ family: AF.INET, port: 0, host: LOOPBACK }));
      listen(number, MANY);
    }
    const isSigned = sign(signed.number);
    const address = socketName(listener.number);
    const pairs = Array.from({ length: MANY }, () => {
      const client = openSocket(AF.INET, SOCK.STREAM);
      connect(client.number, address);
      return { client, server: accept(listener.number) };
    });
    try {
      for (let round = 0; round < 2; round++) {
        expect(find(listener.number)?.md5).toBe(false);
        expect(find(signed.number)?.md5).toBe(isSigned);
        for (const { server } of pairs) {
          const peer = lastPeerName(server.number, address.length);
          expect(find(server.number, peer)).toMatchObject({
            receiveQueue: ioctlInt(server.number, SIOC.INQ),
            md5: false,
          });
        }
        // What comes now is seen when it is said that all may be otherwise.
        for (const { client } of pairs) send(client.number, { bytes: new Uint8Array(10 * (round + 1)) });
        const expected = 10 * (round === 0 ? 1 : 3);
        const haveCome = () => pairs.every(({ server }) => ioctlInt(server.number, SIOC.INQ) === expected);
        expect(awaitThat(haveCome, 10_000)).toBe(true);
        listed.renew();
      }
    } finally {
      for (const { client, server } of pairs) {
        client.close();
        server.close();
      }
    }
  },
);
