/** Connections to servers outside of the tree: where they led is saved, and the restore connects to it again. */
import type { Plugin, PluginHost } from "../../src/index.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const LONGEST_ADDRESS = 110;
const LENGTH_SIZE = 4;
const IMAGE_SUFFIX = "address";

let host: PluginHost | undefined;

function called(name: string, ...args: (number | string | Uint8Array)[]): number {
  const result = host?.syscall(name, ...args) ?? -1;
  if (result < 0) throw new Error(`${name}: ${-result}`);
  return result;
}

export default {
  name: "unix-connection",

  init(given) {
    host = given;
  },

  dumpUnixSocket(fd, inode) {
    const address = new Uint8Array(LONGEST_ADDRESS);
    const length = new Uint8Array(LENGTH_SIZE);
    const view = new DataView(length.buffer);
    view.setUint32(0, address.length, true);
    called("getpeername", fd, address, length);
    host?.writeImage(`${inode}.${IMAGE_SUFFIX}`, address.subarray(0, view.getUint32(0, true)));
    host?.neededAtRestore();
    return true;
  },

  restoreUnixSocket(inode) {
    const address = host?.readImage(`${inode}.${IMAGE_SUFFIX}`);
    if (address === undefined) return undefined;
    const fd = called("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    called("connect", fd, address, address.length);
    return fd;
  },
} satisfies Plugin;
