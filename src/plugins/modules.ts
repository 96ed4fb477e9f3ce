/** Where plugins are, and how a module becomes one. */
import { KernelError } from "../linux/errno.ts";
import { exists, isDirectory, listDirectory, stat } from "../linux/io.ts";
import { currentDirectory, environment } from "../linux/ourselves.ts";
import { log } from "../log.ts";
import type { Plugin } from "./interface.ts";
import { PluginError } from "./plugin-error.ts";

/** CRIU's own. */
const DEFAULT_DIRECTORY = "/usr/lib/criu";
const MODULE = /\.(?:ts|mts|js|mjs|cjs)$/;
const NO_PLUGIN = /(?:^\.|\.d\.m?ts$|\.test\.m?[jt]s$)/;
const NATIVE = /\.so(?:\.\d+)*$/;
const NAME = /^[\w-]+$/;

const HOOKS: ReadonlySet<string> = new Set<keyof Plugin>([
  "init",
  "exit",
  "dumpExternalFile",
  "restoreExternalFile",
  "dumpUnixSocket",
  "restoreUnixSocket",
  "dumpExternalMount",
  "restoreExternalMount",
  "dumpExternalLink",
  "handleDeviceVma",
  "updateVmaMap",
  "pauseDevices",
  "checkpointDevices",
  "postForking",
  "resumeDevicesLate",
]);

/**
 * The plugins of `--libdir`, a directory or one module; of the directory that CRIU_LIBS_DIR names, where that option is not given;
 * of CRIU's own directory, where neither is. In the order of their file names. @throws PluginError
 */
export function findPlugins(libdir: string | undefined, byDefault = DEFAULT_DIRECTORY): Plugin[] {
  const named = libdir ?? (environment().CRIU_LIBS_DIR || undefined);
  if (named === undefined && !exists(byDefault)) return [];
  const found = modulesIn(named ?? byDefault, named !== undefined).map(loadPlugin);
  found.forEach(({ name }, i) => {
    if (found.findIndex((other) => other.name === name) !== i)
      throw new PluginError(name, "there are two plugins of this name");
  });
  return found;
}

/** Paths of modules. Native ones are refused where somebody has named them, or their directory. */
function modulesIn(path: string, named: boolean): string[] {
  const whole = path.startsWith("/") ? path : `${currentDirectory()}/${path}`;
  const files = filesAt(whole);
  const native = files.filter((file) => NATIVE.test(file));
  const [first] = native;
  if (first !== undefined) {
    const why = "native plugins of CRIU cannot be loaded; a plugin is a module of TypeScript or JavaScript";
    if (named) throw new PluginError(first, why);
    for (const file of native) log.info("plugins", `${file} is passed over: ${why}`);
  }
  return files.filter((file) => MODULE.test(file));
}

function filesAt(path: string): string[] {
  try {
    if (!isDirectory(stat(path).mode)) {
      if (MODULE.test(path) || NATIVE.test(path)) return [path];
      throw new PluginError(path, "is neither a directory nor a module");
    }
    const names = listDirectory(path).filter((name) => !NO_PLUGIN.test(name));
    return names.sort().map((name) => `${path}/${name}`);
  } catch (error) {
    if (error instanceof KernelError) throw new PluginError(path, error.message);
    throw error;
  }
}

/** Loads a module and sees that it is a plugin. @throws PluginError */
function loadPlugin(path: string): Plugin {
  let exported: unknown;
  try {
    // Unlike import(), it needs no event loop.
    exported = import.meta.require(path);
  } catch (error) {
    throw new PluginError(path, error instanceof Error ? error.message : String(error), error);
  }
  const plugin = isObject(exported) && "default" in exported ? exported.default : exported;
  const wrong = wrongWith(plugin);
  if (wrong !== undefined) throw new PluginError(path, wrong);
  log.debug("plugins", `${path} is loaded`);
  return plugin as Plugin;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** What is wrong with something that is to be a plugin. A misspelt hook would never be called. */
function wrongWith(plugin: unknown): string | undefined {
  if (!isObject(plugin)) return "exports no plugin: export default { name, ... }";
  if (typeof plugin.name !== "string" || !NAME.test(plugin.name)) return "its plugin has no name";
  for (const key of Object.keys(plugin)) {
    if (key === "name") continue;
    if (!HOOKS.has(key)) return `there is no hook ${key}`;
    if (typeof plugin[key] !== "function") return `its hook ${key} is no function`;
  }
  return undefined;
}
