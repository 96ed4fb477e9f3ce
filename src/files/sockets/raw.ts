/** Whom raw sockets are connected to: of all kinds of socket, they are not told to be where no port is given. */
import { readText } from "../../linux/io.ts";
import { AF, type InetAddress } from "../../linux/socket.ts";
import { u32 } from "../../linux/struct.ts";

/** Columns of /proc/PID/net/raw: addresses, as HOST:PORT in hexadecimal words of this machine; the inode. */
const REMOTE = 2;
const INODE = 9;

/** The peer of a raw socket, by its inode; `pid` lives where it is of. Undefined where it has none. @throws KernelError */
export function rawPeer(pid: number, family: number, inode: number): InetAddress | undefined {
  const text = readText(`/proc/${pid}/net/${family === AF.INET6 ? "raw6" : "raw"}`);
  for (const line of text.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    if (Number(columns[INODE]) !== inode) continue;
    const [words = "", port = "0"] = (columns[REMOTE] ?? "").split(":");
    const host = new Uint8Array(words.length / 2);
    for (let at = 0; at < host.length; at += u32.size)
      u32.write(host, at, Number.parseInt(words.slice(2 * at, 2 * at + 8), 16));
    if (host.every((byte) => byte === 0)) return undefined;
    return { family, host, port: Number.parseInt(port, 16), scope: 0, flowinfo: 0 };
  }
  return undefined;
}
