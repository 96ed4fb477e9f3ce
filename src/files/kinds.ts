/** All kinds of open files that there is support for, in the order in which they are asked whether a file is theirs. */
import { epoll } from "./epoll.ts";
import { eventfd } from "./eventfd.ts";
import { external } from "./external.ts";
import { fanotify } from "./fanotify.ts";
import { fifo } from "./fifo.ts";
import { inotify } from "./inotify.ts";
import type { FileKind } from "./kind.ts";
import { memfd } from "./memfd.ts";
import { mqueue } from "./mqueue.ts";
import { namespaceFile } from "./namespace-file.ts";
import { pathFile } from "./path-file.ts";
import { pidfd } from "./pidfd.ts";
import { pipe } from "./pipe.ts";
import { signalfd } from "./signalfd.ts";
import { inet } from "./sockets/inet.ts";
import { netlink } from "./sockets/netlink.ts";
import { packet } from "./sockets/packet.ts";
import { unix } from "./sockets/unix.ts";
import { tty } from "./terminals/tty.ts";
import { timerfd } from "./timerfd.ts";
import { tunFile } from "./tun.ts";

export const fileKinds: readonly FileKind[] = [
  memfd,
  mqueue,
  pathFile,
  pipe,
  fifo,
  eventfd,
  epoll,
  signalfd,
  timerfd,
  pidfd,
  inet,
  netlink,
  packet,
  inotify,
  fanotify,
  tunFile,
  tty,
  namespaceFile,
  unix,
  external,
];
