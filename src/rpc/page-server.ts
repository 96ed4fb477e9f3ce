/** `criu page-server`: takes the pages of one dump from the network, and puts them into the image directory. */
import type { Actions } from "../actions.ts";
import { statusReady } from "../cli/status.ts";
import { ImageDir } from "../images/image-dir.ts";
import { errnoName, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { hostOf } from "../linux/host-address.ts";
import { O, readLink, selfPath } from "../linux/io.ts";
import { ourPid } from "../linux/ourselves.ts";
import {
  AF,
  accept,
  bind,
  IPPROTO,
  listen,
  openSocket,
  SO,
  SOCK,
  SOL,
  setInt,
  socketName,
} from "../linux/socket.ts";
import { decodeInet, encodeInet } from "../linux/socket-address.ts";
import { TCP } from "../linux/socket-options.ts";
import { log } from "../log.ts";
import { Stream } from "../migrate/page-protocol.ts";
import { receivePages } from "../migrate/page-server.ts";
import { OptionError, type Options } from "../options.ts";
import { writePidfile } from "../pidfile.ts";
import { Undo } from "../undo/undo.ts";
import { INHERITED, startInBackground } from "./background.ts";

/** One dump has one client. */
const BACKLOG = 1;

/** The procedure of `page-server`, or of `page-server FD` behind a socket that listens already. */
export function pageServer(options: Options, actions: Actions, [inherited]: readonly string[]): number {
  if (options.daemon && inherited === undefined && options.psSocket === undefined) {
    tellPid(options, startPageServer(options).pid);
    statusReady(options, actions);
    return 0;
  }
  const images = imagesOf(options);
  if (inherited !== undefined) return serveOne(Fd.own(Number(inherited)), images);
  if (options.psSocket !== undefined) {
    using socket = Fd.own(options.psSocket);
    receivePages(new Stream(socket.number), images);
    return 0;
  }
  using socket = listenAt(options);
  tellPid(options, ourPid());
  statusReady(options, actions);
  return serveOne(socket, images);
}

/** Starts one in the background, a child of ours: its pid, and the port that it listens at. @throws OptionError, KernelError */
export function startPageServer(given: Options): {
  readonly pid: number;
  readonly port: number | undefined;
} {
  // A client may have named them by descriptors of its own, which go with it.
  const options = { ...given, imagesDir: lasting(given.imagesDir), workDir: lasting(given.workDir ?? ".") };
  imagesOf(options);
  const command = ["page-server", "-D", options.imagesDir];
  if (options.psSocket !== undefined) {
    using socket = Fd.own(options.psSocket);
    return {
      pid: startInBackground([...command, "--ps-socket", INHERITED], socket, options),
      port: undefined,
    };
  }
  using socket = listenAt(options);
  const pid = startInBackground([...command, INHERITED], socket, options);
  return { pid, port: portOf(socket) };
}

/** The directory that the pages go to, with the link to what it builds on. @throws ImageError */
function imagesOf({ imagesDir, prevImagesDir }: Options): ImageDir {
  const images = ImageDir.open(imagesDir);
  if (prevImagesDir !== undefined) images.linkParent(prevImagesDir);
  return images;
}

/** The same directory by a path that lasts. @throws KernelError */
function lasting(path: string): string {
  using directory = Fd.open(path, O.PATH | O.DIRECTORY);
  return readLink(selfPath(directory.number));
}

function tellPid({ pidfile }: Options, pid: number): void {
  if (pidfile === undefined) return;
  using undo = new Undo();
  writePidfile(pidfile, pid, undo);
  undo.commit();
}

function portOf(socket: Fd): number | undefined {
  return decodeInet(socketName(socket.number))?.port;
}

/** Takes the pages of one client. @throws PageServerError, ImageError, KernelError */
function serveOne(listening: Fd, images: ImageDir): number {
  using socket = accept(listening.number);
  listening.close();
  setInt(socket.number, IPPROTO.TCP, TCP.NODELAY, 1);
  receivePages(new Stream(socket.number), images);
  log.info("page-server", "all pages are here");
  return 0;
}

/** All addresses of the machine where none is given, and any port. @throws OptionError */
function listenAt({ address, port = 0 }: Options): Fd {
  const host = address === undefined ? { family: AF.INET6, host: new Uint8Array(16) } : hostOf(address);
  if (host === undefined)
    throw new OptionError(`--address ${address}: no address, and no name of /etc/hosts`);
  const socket = openSocket(host.family, SOCK.STREAM);
  try {
    setInt(socket.number, SOL.SOCKET, SO.REUSEADDR, 1);
    bind(socket.number, encodeInet({ ...host, port }));
    listen(socket.number, BACKLOG);
  } catch (error) {
    socket.close();
    if (!(error instanceof KernelError)) throw error;
    const what = `--address ${address ?? "::"}, --port ${port}`;
    throw new OptionError(`cannot listen at ${what}: ${error.call}: ${errnoName(error.errno)}`);
  }
  log.info("page-server", `listening at port ${portOf(socket)}`);
  return socket;
}
