/**
 * /dev/cpu_dma_latency: while it is open, no processor sleeps deeper than so many microseconds allow as were written to it
 * (Documentation/power/pm_qos_interface.rst). What was written is the description's own, and what is read is the lowest of
 * all that are open anywhere: that is what is asked for again.
 */
import type { Plugin, PluginHost } from "../../src/index.ts";

const PATH = "/dev/cpu_dma_latency";
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;
/** Misc devices; the minor number is given as the machine starts. */
const MISC_MAJOR = 10;

let host: PluginHost | undefined;

function called(name: string, ...args: (number | string | Uint8Array)[]): number {
  const result = host?.syscall(name, ...args) ?? -1;
  if (result < 0) throw new Error(`${name} ${PATH}: ${-result}`);
  return result;
}

export default {
  name: "cpu-latency",

  init(given) {
    host = given;
  },

  dumpExternalFile({ fd, id, major, link }) {
    if (major !== MISC_MAJOR || link !== PATH) return false;
    const latency = new Uint8Array(4);
    called("pread64", fd, latency, latency.length, 0);
    host?.writeImage(`${id}.latency`, latency);
    host?.neededAtRestore();
    host?.info(`file ${id} asks for ${new DataView(latency.buffer).getInt32(0, true)} us`);
    return true;
  },

  restoreExternalFile(id) {
    const latency = host?.readImage(`${id}.latency`);
    if (latency === undefined) return undefined;
    const fd = called("openat", AT_FDCWD, PATH, O_RDWR | O_CLOEXEC);
    called("write", fd, latency, latency.length);
    return fd;
  },
} satisfies Plugin;
