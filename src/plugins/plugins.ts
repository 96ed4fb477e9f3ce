/** The plugins of one run: asked in turn, until one says that something is its own. */
import { errnoName } from "../linux/errno.ts";
import { O, open, openIfThere, readWhole, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { environment } from "../linux/ourselves.ts";
import { addressOf, cString, rawSyscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import type {
  DeviceMapping,
  ExternalFile,
  NewMapping,
  Plugin,
  PluginArgument,
  PluginHost,
  Stage,
} from "./interface.ts";
import { findPlugins } from "./modules.ts";
import { PluginError } from "./plugin-error.ts";

/** Hooks that say whether something is theirs. */
type Asked = Exclude<keyof Plugin, "name" | "init" | "exit">;
type ArgumentsOf<H extends Asked> = Parameters<NonNullable<Plugin[H]>>;
type AnswerOf<H extends Asked> = NonNullable<ReturnType<NonNullable<Plugin[H]>>>;

interface Loaded {
  readonly plugin: Plugin;
  readonly host: PluginHost;
}

export class Plugins {
  readonly #begun: Loaded[] = [];

  private constructor(
    private readonly loaded: readonly Loaded[],
    private readonly names: ReadonlySet<string>,
  ) {}

  /** None at all. */
  static none(): Plugins {
    return new Plugins([], new Set());
  }

  /**
   * Those that are to be used: see {@link findPlugins}. `needed` are the names that the images say they need.
   * @throws PluginError
   */
  static find(
    { libdir, imagesDir }: { readonly libdir: string | undefined; readonly imagesDir: string },
    stage: Stage,
    needed: readonly string[] = [],
  ): Plugins {
    return Plugins.of(findPlugins(libdir), imagesDir, stage, needed);
  }

  /** Plugins that are there already. @throws PluginError when one is missing */
  static of(
    all: readonly Plugin[],
    imagesDir: string,
    stage: Stage,
    needed: readonly string[] = [],
  ): Plugins {
    const missing = needed.filter((name) => !all.some((plugin) => plugin.name === name));
    if (missing[0] !== undefined)
      throw new PluginError(missing[0], "the images need it, and it is not there: see --libdir");
    const names = new Set<string>();
    const loaded = all.map((plugin) => {
      const host = new Host(plugin.name, stage, imagesDir, needed.includes(plugin.name), () => {
        names.add(plugin.name);
      });
      return { plugin, host };
    });
    return new Plugins(loaded, names);
  }

  /** The names of those that a restore of the images being made needs. */
  get needed(): readonly string[] {
    return [...this.names];
  }

  /** Whether any has this hook: what takes some making is made only then. */
  has(hook: Asked): boolean {
    return this.loaded.some(({ plugin }) => plugin[hook] !== undefined);
  }

  /**
   * Has the plugins begin, does the work, and has those that have begun end. What they throw in the end is logged.
   * @throws PluginError when one cannot begin, whatever `work` throws
   */
  async during<T>(work: () => Promise<T> | T): Promise<T> {
    let failure: Error | undefined;
    try {
      for (const each of this.loaded) {
        guarded(each, "init", () => each.plugin.init?.(each.host));
        this.#begun.push(each);
      }
      return await work();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      for (const each of this.#begun.splice(0)) {
        try {
          guarded(each, "exit", () => each.plugin.exit?.(each.host, failure));
        } catch (error) {
          log.error("plugins", error instanceof Error ? error.message : String(error));
        }
      }
    }
  }

  /** The first plugin's answer that is one: not undefined, nor false. @throws PluginError for what a hook throws */
  ask<H extends Asked>(hook: H, ...args: ArgumentsOf<H>): AnswerOf<H> | undefined {
    for (const each of this.loaded) {
      const answer = guarded(each, hook, () => callHook(each.plugin, hook, args));
      if (answer === undefined || answer === false) continue;
      log.debug("plugins", `${each.plugin.name}: ${hook}`);
      return answer as AnswerOf<H>;
    }
    return undefined;
  }

  /** Saves an open file. False where it is no plugin's. @throws PluginError */
  dumpExternalFile(file: ExternalFile): boolean {
    return this.ask("dumpExternalFile", file) !== undefined;
  }

  /** Our descriptor of such a file, the caller's. @throws PluginError */
  restoreExternalFile(id: number): number | undefined {
    return this.ask("restoreExternalFile", id);
  }

  handleDeviceVma(mapping: DeviceMapping): boolean {
    return this.ask("handleDeviceVma", mapping) !== undefined;
  }

  /** A descriptor in the answer is the caller's. @throws PluginError */
  updateVmaMap(path: string, start: number, offset: number): NewMapping | undefined {
    return this.ask("updateVmaMap", path, start, offset);
  }

  /** As the last thing before a process runs: what is thrown is logged. */
  resumeDevicesLate(pid: number): void {
    try {
      this.ask("resumeDevicesLate", pid);
    } catch (error) {
      log.error("plugins", error instanceof Error ? error.message : String(error));
    }
  }
}

/** One hook, as a method of its plugin. */
function callHook<H extends Asked>(plugin: Plugin, hook: H, args: ArgumentsOf<H>): unknown {
  const method: unknown = plugin[hook];
  return typeof method === "function" ? Reflect.apply(method, plugin, args) : undefined;
}

function guarded<T>({ plugin }: Loaded, hook: string, call: () => T): T {
  try {
    const result = call();
    if (result instanceof Promise)
      throw new Error("it gives a promise, which nobody can wait for: there is no event loop");
    return result;
  } catch (error) {
    throw new PluginError(
      plugin.name,
      `${hook}: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

class Host implements PluginHost {
  constructor(
    private readonly name: string,
    readonly stage: Stage,
    readonly imagesDir: string,
    readonly wasNeeded: boolean,
    private readonly need: () => void,
  ) {}

  environment(name: string): string | undefined {
    return environment()[name];
  }

  writeImage(name: string, bytes: Uint8Array): void {
    const fd = open(this.#path(name), O.CREAT | O.TRUNC | O.WRONLY, 0o600);
    withFd(fd, () => writeAll(fd, bytes));
  }

  readImage(name: string): Uint8Array | undefined {
    const fd = openIfThere(this.#path(name), O.RDONLY);
    return fd === undefined ? undefined : withFd(fd, () => readWhole(fd).slice());
  }

  neededAtRestore(): void {
    this.need();
  }

  syscall(name: string, ...args: PluginArgument[]): number {
    const nr = Object.entries(NR).find(([each]) => each === name)?.[1];
    if (nr === undefined) throw new Error(`no system call is called ${name}`);
    const kept = args.map((argument) => (typeof argument === "string" ? cString(argument) : argument));
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = kept.map((argument) =>
      typeof argument === "number" ? argument : addressOf(argument),
    );
    const result = rawSyscall(nr, a, b, c, d, e, f);
    if (result < 0) log.debug(`plugins/${this.name}`, `${name}: ${errnoName(-result)}`);
    // Until here the kernel had their addresses.
    kept.length = 0;
    return result;
  }

  error(text: string): void {
    log.error(`plugins/${this.name}`, text);
  }

  warn(text: string): void {
    log.warn(`plugins/${this.name}`, text);
  }

  info(text: string): void {
    log.info(`plugins/${this.name}`, text);
  }

  debug(text: string): void {
    log.debug(`plugins/${this.name}`, text);
  }

  #path(name: string): string {
    if (!/^[\w.-]+$/.test(name)) throw new Error(`an image cannot be called ${name}`);
    return `${this.imagesDir}/${this.name}-${name}`;
  }
}
