/** What every command does first: descriptors, directories, the log. */

import { CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, hasCapability } from "../linux/capability.ts";
import { errnoName, KernelError } from "../linux/errno.ts";
import { F } from "../linux/fcntl.ts";
import { isDirectory, listNumbers, O, open, readLink, readText, selfPath, stat } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { changeDirectory, currentDirectory } from "../linux/ourselves.ts";
import { PR } from "../linux/prctl.ts";
import { rawSyscall } from "../linux/syscall.ts";
import { uname } from "../linux/uname.ts";
import { log, openLog, setLevel } from "../log.ts";
import { type Command, OptionError, type Options, parseInheritFd } from "../options.ts";
import { CRIU_VERSION, VERSION } from "../version.ts";

const ROOT = 0;
const LAST_STANDARD = 2;
const NONE: ReadonlySet<number> = new Set();

/** Commands whose images are named by whoever they serve. */
const SERVING: ReadonlySet<Command> = new Set<Command>(["service", "swrk"]);

/**
 * Closes the descriptors of `--close` and goes to work as {@link openWork} does, but for `swrk`, which does so for each of its
 * requests. @throws OptionError
 */
export function enter(options: Options, command: Command): Options {
  setLevel(options.verbosity);
  openStandard();
  const ours = options.close.length > 0 ? runtimeDescriptors() : NONE;
  for (const fd of options.close) if (!ours.has(fd)) closeInherited(fd);
  return command === "swrk" ? options : openWork(options, command);
}

/**
 * Makes the work directory the current one and opens the log there. Returns the options with `imagesDir` and `workDir` as
 * absolute paths of directories that exist. @throws OptionError when one of them does not, when the log cannot be opened, or a
 * descriptor that is to be inherited is not there
 */
export function openWork(options: Options, command: Command): Options {
  setLevel(options.verbosity);
  refuseWithoutRights(options, command);
  const ours = options.inheritFd.length > 0 ? runtimeDescriptors() : NONE;
  for (const entry of options.inheritFd) {
    const { fd } = parseInheritFd(entry);
    if (ours.has(fd) || !isOpen(fd))
      throw new OptionError(`--inherit-fd ${entry}: descriptor ${fd} is not open`);
  }

  const imagesDir = SERVING.has(command) ? options.imagesDir : directory("--images-dir", options.imagesDir);
  const workDir =
    options.workDir === undefined
      ? directory("--images-dir", imagesDir)
      : directory("--work-dir", options.workDir);
  try {
    changeDirectory(workDir);
  } catch (error) {
    throw new OptionError(`cannot enter --work-dir ${workDir}: ${code(error)}`);
  }
  try {
    openLog({ output: options.logFile, perPid: options.logPid });
  } catch (error) {
    throw new OptionError(`cannot open --log-file ${options.logFile} in ${workDir}: ${code(error)}`);
  }
  log.info("Version", `${CRIU_VERSION} (criu-ts ${VERSION})`);
  log.info("", () => `Running on ${machine()}`);
  for (const remark of remarks(options, command)) log.warn("cli", remark);
  return { ...options, imagesDir, workDir };
}

/** Commands that hold processes. */
const HOLDING: ReadonlySet<Command> = new Set<Command>(["dump", "pre-dump", "restore"]);

/**
 * Who is not root is to say that less will do (`--unprivileged`): the kernel may refuse what a tree needs, which shows when it
 * comes to that. @throws OptionError
 */
function refuseWithoutRights({ unprivileged }: Options, command: Command): void {
  if (!HOLDING.has(command)) return;
  if (!hasCapability(CAP_CHECKPOINT_RESTORE) && !hasCapability(CAP_SYS_ADMIN))
    throw new OptionError(`${command} needs the capability CAP_CHECKPOINT_RESTORE, or CAP_SYS_ADMIN`);
  if (rawSyscall(NR.geteuid) === ROOT) return;
  if (!unprivileged)
    throw new OptionError("not root: --unprivileged says that what can be done without being root will do");
  // Else an executable with capabilities of its own could not look at itself.
  rawSyscall(NR.prctl, PR.SET_DUMPABLE, 1, 0, 0, 0);
}

/**
 * Sees to it that standard input, output and error are there: a client may start us without, and what we open would have
 * their numbers. A program that is started or become in our place finds them closed again.
 */
function openStandard(): void {
  for (let fd = 0; fd <= LAST_STANDARD; fd++) if (!isOpen(fd)) open("/dev/null", O.RDWR);
}

/** What is odd about the options, but no reason to stop. */
function remarks(options: Options, command: Command): string[] {
  const said: string[] = [];
  if (command === "restore" && options.tree !== undefined) said.push("restore has no use for --tree");
  if (command === "restore" && options.leaveStopped && options.restoreDetached && options.shellJob) {
    said.push("the kernel sends SIGHUP to a shell job that is left stopped and detached");
  }
  if (options.psSocket !== undefined && (options.address !== undefined || options.port !== undefined)) {
    said.push("--address and --port have no meaning beside --ps-socket");
  }
  return said;
}

function directory(flag: string, path: string): string {
  const whole = absolute(path);
  try {
    if (!isDirectory(stat(whole).mode)) throw new OptionError(`${flag} ${path} is not a directory`);
  } catch (error) {
    if (error instanceof OptionError) throw error;
    throw new OptionError(`cannot open ${flag} ${path}: ${code(error)}`);
  }
  return whole;
}

/** By hand: node:path takes 0.6 ms of a start. `..` stays, since only the kernel knows where it leads. */
function absolute(path: string): string {
  const here = path.startsWith("/") ? "" : `${currentDirectory()}/`;
  let end = path.length;
  while (end > 1 && path.endsWith("/", end)) end--;
  return path === "." ? here.slice(0, -1) : here + path.slice(0, end);
}

/**
 * The descriptors that the runtime opened for its event loop. It took numbers that were free, so nobody handed
 * these to us; to close one would break the runtime, not undo a leak.
 */
function runtimeDescriptors(): ReadonlySet<number> {
  const found = new Set<number>();
  for (const fd of listNumbers("/proc/self/fd")) {
    try {
      if (readLink(selfPath(fd)) !== "anon_inode:[eventpoll]") continue;
      found.add(fd);
      const watched = readText(`/proc/self/fdinfo/${fd}`);
      for (const [, target] of watched.matchAll(/^tfd:\s*(\d+)/gm)) found.add(Number(target));
    } catch {
      // the descriptor that lists this directory is gone by now
    }
  }
  return found;
}

function closeInherited(fd: number): void {
  log.info("cli", `closing descriptor ${fd}`);
  const result = rawSyscall(NR.close, fd);
  if (result < 0) log.debug("cli", `descriptor ${fd}: ${errnoName(-result)}`);
}

function isOpen(fd: number): boolean {
  return rawSyscall(NR.fcntl, fd, F.GETFD) >= 0;
}

function machine(): string {
  const { nodename, sysname, release, version, machine } = uname();
  return `${nodename} ${sysname} ${release} ${version} ${machine}`;
}

function code(error: unknown): string {
  if (error instanceof KernelError) return errnoName(error.errno);
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
