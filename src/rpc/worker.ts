/**
 * `criu swrk FD`: serves the requests of one client, on an inherited descriptor. The service starts one of these for each
 * connection, and says so by a word behind the descriptor's number.
 *
 * A request is a command and its options: configuration files and environment first, what the request says over them, and
 * over that the configuration file which the request names.
 */
import { Actions, type Listener } from "../actions.ts";
import { refuseSenseless } from "../cli/command-line.ts";
import { readConfig } from "../cli/config.ts";
import { openWork } from "../cli/enter.ts";
import type { Procedure, Procedures } from "../cli/run.ts";
import {
  CriuOpts,
  type CriuReq,
  CriuReqType,
  type CriuResp,
  type CriuVersion,
} from "../images/schema/generated/rpc.ts";
import { decode } from "../images/wire.ts";
import { BaseError } from "../linux/base-error.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { fstat } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { become } from "../linux/program.ts";
import { waitStatus } from "../linux/ptrace.ts";
import { syscall } from "../linux/syscall.ts";
import { firstError, forgetFirstError, log, logDescriptor } from "../log.ts";
import { type Command, defaultOptions, OptionError, type Options, withGiven } from "../options.ts";
import { CRIU_VERSION } from "../version.ts";
import { ClientGoneError, Connection, RequestError } from "./connection.ts";
import { ClientListener } from "./listener.ts";
import { givenBy } from "./options.ts";
import { PeerDescriptors } from "./peer.ts";

/** What the log of a request is called when nobody says. */
const DEFAULT_LOG = "criu.log";
/** The word behind the descriptor of a worker that the service started. */
export const OF_SERVICE = "service";

/** A response but for its type: what came of a request. */
type Result = Omit<CriuResp, "type">;
/** And the root of the tree, where there is one. */
type Worked = Result & { readonly root?: number };

/** Requests that a command does, and the command. */
const COMMAND_OF: ReadonlyMap<CriuReqType, Command> = new Map<CriuReqType, Command>([
  [CriuReqType.DUMP, "dump"],
  [CriuReqType.RESTORE, "restore"],
  [CriuReqType.CHECK, "check"],
  [CriuReqType.PRE_DUMP, "pre-dump"],
  [CriuReqType.SINGLE_PRE_DUMP, "pre-dump"],
  [CriuReqType.PAGE_SERVER, "page-server"],
  [CriuReqType.PAGE_SERVER_CHLD, "page-server"],
  [CriuReqType.CPUINFO_DUMP, "cpuinfo dump"],
  [CriuReqType.CPUINFO_CHECK, "cpuinfo check"],
]);

/** After these another request may follow on the connection. */
const MAY_STAY_OPEN: ReadonlySet<CriuReqType> = new Set([
  CriuReqType.PAGE_SERVER,
  CriuReqType.PAGE_SERVER_CHLD,
  CriuReqType.CPUINFO_DUMP,
  CriuReqType.CPUINFO_CHECK,
  CriuReqType.FEATURE_CHECK,
  CriuReqType.VERSION,
]);

/** The procedure of `swrk FD`, which serves with these procedures. */
export function worker(procedures: Procedures): Procedure {
  return async (base, _, [fd = "", by]) => {
    const number = /^\d{1,9}$/.test(fd) ? Number(fd) : -1;
    if (number < 0 || (by !== undefined && by !== OF_SERVICE))
      throw new OptionError("swrk needs one thing, the number of its descriptor");
    const requests = new Requests(new Connection(number), base, procedures, by === OF_SERVICE);
    try {
      return await requests.serve();
    } catch (error) {
      if (!(error instanceof ClientGoneError)) throw error;
      log.error("rpc", error.message);
      return 1;
    }
  };
}

/** The requests of one client. */
class Requests {
  constructor(
    private readonly connection: Connection,
    private readonly base: Options,
    private readonly procedures: Procedures,
    private readonly ofService: boolean,
  ) {}

  async serve(): Promise<number> {
    try {
      for (let served = false; ; served = true) {
        const request = this.connection.receive();
        if (request === undefined) {
          if (!served) log.error("rpc", "the client has gone without a request");
          return served ? 0 : 1;
        }
        if (request.keep_open === true && !MAY_STAY_OPEN.has(request.type))
          throw new RequestError("keep_open is not for requests of this type");
        const done = await this.#answer(request);
        if (!done || request.keep_open !== true) return done ? 0 : 1;
      }
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      log.error("rpc", error.message);
      this.connection.sendError(error.message);
      return 1;
    }
  }

  /** Does what a request asks for, and answers. False if it failed; but a question is answered well by a no. */
  async #answer(request: CriuReq): Promise<boolean> {
    const { type, opts } = request;
    switch (type) {
      case CriuReqType.DUMP:
        return await this.#dump(opts);
      case CriuReqType.RESTORE:
        return await this.#restore(opts);
      case CriuReqType.PRE_DUMP:
        return await this.#preDumps(request);
      case CriuReqType.SINGLE_PRE_DUMP:
        return this.#send(type, await this.#work(type, opts));
      case CriuReqType.VERSION:
        this.#send(type, { success: true, version: version() });
        return true;
      case CriuReqType.WAIT_PID:
        this.#send(type, waitFor(request.pid));
        return true;
      case CriuReqType.FEATURE_CHECK:
        this.#send(type, await features(request));
        return true;
      case CriuReqType.PAGE_SERVER:
      case CriuReqType.PAGE_SERVER_CHLD:
        this.#send(CriuReqType.PAGE_SERVER, await this.#work(type, opts));
        return true;
      case CriuReqType.CHECK:
      case CriuReqType.CPUINFO_DUMP:
      case CriuReqType.CPUINFO_CHECK:
        this.#send(type, await this.#work(type, opts));
        return true;
      default:
        throw new RequestError(`a request of type ${type} means nothing here`);
    }
  }

  async #dump(opts: CriuOpts | undefined): Promise<boolean> {
    const result = await this.#work(CriuReqType.DUMP, opts);
    // Whoever has dumped itself, and was ended by that, gets its answer when it is restored.
    if (result.success && opts?.pid === undefined && opts?.leave_running !== true) return true;
    return this.#send(CriuReqType.DUMP, { ...result, dump: { restored: false } });
  }

  async #restore(opts: CriuOpts | undefined): Promise<boolean> {
    const { root, ...result } = await this.#work(CriuReqType.RESTORE, opts);
    const ok = this.#send(CriuReqType.RESTORE, {
      ...result,
      restore: { pid: result.success ? (root ?? -1) : -1 },
    });
    const [program, ...words] = opts?.exec_cmd ?? [];
    if (ok && program !== undefined) becomeCommand(program, words);
    return ok;
  }

  /** One pre-dump after the other, until the dump comes. */
  async #preDumps(first: CriuReq): Promise<boolean> {
    let request: CriuReq | undefined = first;
    while (request?.type === CriuReqType.PRE_DUMP) {
      if (!this.#send(CriuReqType.PRE_DUMP, await this.#work(CriuReqType.PRE_DUMP, request.opts)))
        return false;
      request = this.connection.receive();
    }
    if (request?.type === CriuReqType.DUMP) return await this.#dump(request.opts);
    if (request !== undefined) throw new RequestError("after a pre-dump comes another one, or the dump");
    log.error("rpc", "the client has gone after a pre-dump");
    return false;
  }

  #send(type: CriuReqType, result: Result): boolean {
    this.connection.send({ type, ...result });
    return result.success;
  }

  /** Has the command of a request do its work. @throws ClientGoneError alone */
  async #work(type: CriuReqType, opts: CriuOpts = decode(CriuOpts, NO_OPTIONS)): Promise<Worked> {
    forgetFirstError();
    try {
      using client = new PeerDescriptors(this.connection.peer().pid);
      const command = COMMAND_OF.get(type);
      if (command === undefined) throw new Error(`request ${type} has no command`);
      const options = openWork(this.#options(command, opts, client), command);
      const load = this.procedures[command];
      if (load === undefined) throw new Error(`the command ${command} has no procedure`);
      using actions = new Actions(
        options.actionScript,
        options.imagesDir,
        this.#listener(command, opts),
        fstat(this.connection.fd).ino,
      );
      if (command === "page-server") {
        const { startPageServer } = await import("./page-server.ts");
        return { success: true, ps: startPageServer(options) };
      }
      const procedure = await load();
      const success = (await procedure(options, actions, opts.exec_cmd)) === 0;
      return { success, ...firstErrorOf(), ...(actions.root !== undefined && { root: actions.root }) };
    } catch (error) {
      if (error instanceof ClientGoneError) throw error;
      log.error("rpc", error instanceof Error ? error.message : String(error));
      if (error instanceof Error && !(error instanceof OptionError)) log.debug("rpc", error.stack ?? "");
      return { success: false, ...firstErrorOf(), ...errnoOf(error) };
    }
  }

  /** A pre-dump has nothing to tell: runc takes what is sent last for the answer. */
  #listener(command: Command, { notify_scripts, orphan_pts_master }: CriuOpts): Listener | undefined {
    if (notify_scripts !== true || command === "pre-dump") return undefined;
    return new ClientListener(this.connection, orphan_pts_master === true);
  }

  /** The options of a request, for its command. @throws OptionError */
  #options(command: Command, opts: CriuOpts, client: PeerDescriptors): Options {
    this.#refuseOfService(opts);
    let options = withGiven(this.base, givenBy(opts, client));
    // Of two ways to say where the images are the descriptor counts.
    if (opts.images_dir_fd !== -1)
      options = { ...options, imagesDir: client.directory("images_dir_fd", opts.images_dir_fd) };
    // We are the client here, who need not be root.
    if (this.ofService) options = { ...options, unprivileged: true };
    options = { ...options, logFile: logFile(command, opts, options.logFile) };
    if (command === "dump" || command === "pre-dump")
      options = { ...options, tree: opts.pid ?? this.connection.peer().pid };
    // Whoever asks for a command in our place wants it to be the parent.
    if (command === "restore") options = { ...options, restoreDetached: opts.exec_cmd.length === 0 };
    if (opts.config_file !== undefined)
      options = withGiven(options, readConfig({ path: opts.config_file, named: false }));
    if (
      options.imagesDir === defaultOptions().imagesDir &&
      opts.images_dir === undefined &&
      command !== "check"
    )
      throw new OptionError("the request names no directory of images");
    refuseSenseless(options, command);
    return options;
  }

  /** What makes sense only to a client whose child we are. @throws OptionError */
  #refuseOfService({ rst_sibling, inherit_fd, ps }: CriuOpts): void {
    if (!this.ofService) return;
    if (rst_sibling === true) throw new OptionError("rst_sibling of the request: not for the service");
    if (inherit_fd.length > 0) throw new OptionError("inherit_fd of the request: not for the service");
    if (ps?.fd !== undefined) throw new OptionError("ps.fd of the request: not for the service");
  }
}

/** criu_opts with what is required: images_dir_fd of -1, field 1, a number of ten bytes. */
const NO_OPTIONS = Uint8Array.of(0x08, ...new Array(9).fill(0xff), 0x01);

/** Where the log goes; undefined is standard error. @throws OptionError */
function logFile(command: Command, opts: CriuOpts, configured: string | undefined): string | undefined {
  const { log_file: asked, log_to_stderr } = opts;
  if (asked?.includes("/") === true)
    throw new OptionError("log_file of the request: a name is expected, not a path");
  if (asked !== undefined) return asked;
  // A check needs no directory, unless it is to write there.
  return log_to_stderr === true || command === "check" ? undefined : (configured ?? DEFAULT_LOG);
}

function firstErrorOf(): Pick<CriuResp, "cr_errmsg"> {
  const text = firstError();
  return text === undefined ? {} : { cr_errmsg: text };
}

/** Why the kernel refused; EBADRQC where the request itself is wrong, as CRIU has it. */
function errnoOf(error: unknown): Pick<CriuResp, "cr_errno"> {
  if (error instanceof OptionError) return { cr_errno: ERRNO.EBADRQC };
  const errno = error instanceof BaseError ? error.errno : undefined;
  return errno === undefined ? {} : { cr_errno: errno };
}

function version(): CriuVersion {
  const [major_number = 0, minor_number = 0] = CRIU_VERSION.split(".").map(Number);
  return { major_number, minor_number };
}

/** Waits for a child of ours, one that a request before this one has started. */
function waitFor(pid: number | undefined): Result {
  forgetFirstError();
  try {
    if (pid === undefined || pid === 0) throw new KernelError("wait4", "no process", ERRNO.ECHILD);
    return { success: true, status: waitStatus(pid) };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    log.error("rpc", error.message);
    return { success: false, cr_errno: error.errno, ...firstErrorOf() };
  }
}

/** All of them always stand in the answer; those that were not asked for are no. */
async function features({ features: asked }: CriuReq): Promise<Result> {
  const { isSupported } = await import("../check/features.ts");
  const answer = (wanted: boolean | undefined, name: string) => wanted === true && isSupported(name);
  return {
    success: true,
    features: {
      mem_track: answer(asked?.mem_track, "mem_dirty_track"),
      lazy_pages: answer(asked?.lazy_pages, "uffd-noncoop"),
      pidfd_store: answer(asked?.pidfd_store, "pidfd_store"),
    },
  };
}

/** Becomes the command of `exec_cmd`, which prints to the log. @throws KernelError; it does not come back otherwise */
function becomeCommand(program: string, words: readonly string[]): never {
  const log = logDescriptor();
  for (const fd of [1, 2]) if (log !== fd) syscall(`descriptor ${log}`, NR.dup3, log, fd, 0);
  become(program, [program, ...words]);
}
