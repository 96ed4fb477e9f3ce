/** Sockets over IP, v4 and v6: TCP, MPTCP that is not connected, UDP, UDP-Lite, ICMP, raw. */
import { IMAGES } from "../../images/kinds.ts";
import { FdTypes, type FileEntry } from "../../images/schema/generated/files.ts";
import { type InetSkEntry, SkShutdown } from "../../images/schema/generated/sockets.ts";
import { ERRNO, isErrno, KernelError } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { S } from "../../linux/io.ts";
import { type InetSocket, inetSockets, TCP_STATE } from "../../linux/sock-diag.ts";
import { PacketSender } from "../../linux/packets.ts";
import {
  AF,
  bind,
  connect,
  decodeInet,
  encodeInet,
  getInt,
  type InetAddress,
  interfaceIndex,
  interfaceName,
  IPPROTO,
  lastPeerName,
  listen,
  openSocket,
  SO,
  SOCK,
  SOL,
  setInt,
  socketName,
  tryGetInt,
  trySetInt,
  tryShutdown,
} from "../../linux/socket.ts";
import { IP, IPV6, UDP } from "../../linux/socket-options.ts";
import { u32 } from "../../linux/struct.ts";
import { readTcpInfo, repairOff } from "../../linux/tcp.ts";
import { LOCK_MARK } from "../../namespaces/network-lock.ts";
import { FileDumpError, FileRestoreError, restoring } from "../errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "../kind.ts";
import type { OpenFile } from "../open-file.ts";
import { withAsync } from "../status-flags.ts";
