/**
 * `criu service`: a socket that anybody may connect to. Each connection is served by a process of its own, `criu swrk`, which
 * is the client for the kernel (client.ts): it may touch what the client may touch.
 */
import type { Actions } from "../actions.ts";
import { statusReady } from "../cli/status.ts";
import { errnoName, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { isSocket, statIfThere, unlink } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourPid, ourProgram } from "../linux/ourselves.ts";
import type { HostPid } from "../linux/pid.ts";
import { POLL, pollAll } from "../linux/poll.ts";
import { awaitProgram, endOf, start } from "../linux/program.ts";
import { AF, accept, bind, listen, openSocket, SOCK } from "../linux/socket.ts";
import { encodeUnix } from "../linux/socket-address.ts";
import { nameAddress, syscall } from "../linux/syscall.ts";
import { textToBytes } from "../linux/text.ts";
import { log } from "../log.ts";
import { OptionError, type Options } from "../options.ts";
import { writePidfile } from "../pidfile.ts";
import { Undo } from "../undo/undo.ts";
import { configuration, INHERITED, startInBackground } from "./background.ts";
import { becomeClient } from "./client.ts";
import { Connection } from "./connection.ts";
import { OF_SERVICE } from "./worker.ts";

/** Where clients look for it in the working directory when nobody says. */
const DEFAULT_ADDRESS = "criu_service.socket";
/** sun_path of struct sockaddr_un, without the zero at its end. */
const LONGEST_PATH = 107;
/** Everybody may connect; who may do what is another matter. */
const FOR_ALL = 0o666;
const BACKLOG = 128;
/** So many clients are served at once, and so many of one user other than root; the others wait, or are sent away. */
const MOST = 512;
const MOST_OF_USER = 128;

/** A connection and who serves it. */
interface Served {
  readonly pid: HostPid;
  readonly pidfd: Fd;
  readonly uid: number;
}

/** The procedure of `service`, or of `service FD` behind a socket that listens already. */
export function service(options: Options, actions: Actions, [inherited]: readonly string[]): number {
  if (inherited !== undefined) return new Service(Fd.own(Number(inherited)), options).run();
  using socket = listenAt(options.address ?? DEFAULT_ADDRESS);
  let pid: number = ourPid();
  if (options.daemon) pid = startInBackground(["service", INHERITED], socket, options);
  if (options.pidfile !== undefined) {
    using undo = new Undo();
    writePidfile(options.pidfile, pid, undo);
    undo.commit();
  }
  statusReady(options, actions);
  return options.daemon ? 0 : new Service(socket, options).run();
}

/** Binds the socket to a path, which a service before us may have left behind. @throws OptionError */
function listenAt(path: string): Fd {
  const name = textToBytes(path);
  if (name.length > LONGEST_PATH)
    throw new OptionError(`--address ${path}: a socket's path has ${LONGEST_PATH} bytes at most`);
  const there = statIfThere(path);
  if (there !== undefined && !isSocket(there.mode))
    throw new OptionError(`--address ${path} is there and is no socket`);
  const socket = openSocket(AF.UNIX, SOCK.SEQPACKET);
  try {
    unlink(path);
    bind(socket.number, encodeUnix(name));
    syscall(path, NR.chmod, nameAddress(path), FOR_ALL);
    listen(socket.number, BACKLOG);
  } catch (error) {
    socket.close();
    if (!(error instanceof KernelError)) throw error;
    throw new OptionError(`cannot listen at --address ${path}: ${error.call}: ${errnoName(error.errno)}`);
  }
  log.info("service", `listening at ${path}`);
  return socket;
}

class Service {
  readonly #served = new Set<Served>();

  constructor(
    private readonly socket: Fd,
    private readonly options: Options,
  ) {}

  /** Serves until we are ended. @throws KernelError */
  run(): number {
    for (;;) {
      const waiting = [...this.#served];
      const fds = waiting.map(({ pidfd }) => pidfd.number);
      if (this.#served.size < MOST) fds.push(this.socket.number);
      const ready = pollAll(fds, POLL.IN);
      waiting.forEach((each, i) => {
        if (ready[i]) this.#reap(each);
      });
      if (fds.length > waiting.length && ready[waiting.length]) this.#accept();
    }
  }

  #reap(served: Served): void {
    log.info("service", `process ${served.pid} ${endOf(awaitProgram(served.pid))}`);
    served.pidfd.close();
    this.#served.delete(served);
  }

  /** Takes a connection, and starts who serves it. What goes wrong is the client's to know, and not our end. */
  #accept(): void {
    let socket: Fd;
    try {
      socket = accept(this.socket.number);
    } catch (error) {
      log.error("service", error instanceof Error ? error.message : String(error));
      return;
    }
    using _ = socket;
    const connection = new Connection(socket.number);
    try {
      const { pid, uid } = connection.peer();
      log.info("service", `process ${pid} of user ${uid} has connected`);
      const others = [...this.#served].filter((each) => each.uid === uid).length;
      if (uid !== 0 && others >= MOST_OF_USER)
        throw new Error(`user ${uid} has ${others} connections already`);
      this.#start(socket, uid);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      log.error("service", text);
      try {
        connection.sendError(text);
      } catch {
        // It is gone.
      }
    }
  }

  #start(socket: Fd, uid: number): void {
    const { path, words } = ourProgram();
    const number = 3;
    const pid = start({
      path,
      words: [...words, "swrk", String(number), OF_SERVICE, ...configuration(this.options)],
      descriptors: new Map([[number, socket.number]]),
      prepare: becomeClient(socket.number),
    });
    log.info("service", `process ${pid} serves it`);
    this.#served.add({ pid, pidfd: Fd.ofProcess(pid), uid });
  }
}
