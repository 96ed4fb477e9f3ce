/**
 * A mount that shows a part of a file system that is mounted nowhere else: it is not saved, but made again, with the file that it is
 * known to have.
 */
import type { Plugin, PluginHost } from "../../src/index.ts";

const FSCONFIG_CMD_CREATE = 6;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const IMAGE_SUFFIX = "mountpoint";

let host: PluginHost | undefined;

function called(name: string, ...args: (number | string | Uint8Array)[]): number {
  const result = host?.syscall(name, ...args) ?? -1;
  if (result < 0) throw new Error(`${name}: ${-result}`);
  return result;
}

export default {
  name: "shown-part",

  init(given) {
    host = given;
  },

  dumpExternalMount(mountpoint, id) {
    if (!mountpoint.endsWith("/shown")) return false;
    host?.writeImage(`${id}.${IMAGE_SUFFIX}`, new TextEncoder().encode(mountpoint));
    host?.neededAtRestore();
    return true;
  },

  restoreExternalMount(id, mountpoint) {
    const saved = host?.readImage(`${id}.${IMAGE_SUFFIX}`);
    if (saved === undefined || new TextDecoder().decode(saved) !== mountpoint) return undefined;
    const context = called("fsopen", "tmpfs", 0);
    called("fsconfig", context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    const mount = called("fsmount", context, 0, 0);
    const text = new TextEncoder().encode("as found");
    const file = called("openat", mount, "f", O_WRONLY | O_CREAT, 0o644);
    called("write", file, text, text.length);
    called("close", file);
    called("close", context);
    return mount;
  },
} satisfies Plugin;
