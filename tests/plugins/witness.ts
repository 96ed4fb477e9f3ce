/**
 * Notes every hook that it is asked by, in a file of its own beside the images; maps block devices from one page further on. With
 * WITNESS_FAILS=hook in the environment that hook throws.
 */
import type { Plugin, PluginHost } from "../../src/index.ts";

let host: PluginHost | undefined;
const said: string[] = [];

function note(hook: string, about = ""): undefined {
  said.push(`${hook} ${about}`.trim());
  host?.writeImage(`${host.stage}.log`, new TextEncoder().encode(`${said.join("\n")}\n`));
  if (host?.environment("WITNESS_FAILS") === hook) throw new Error("as asked for");
}

export default {
  name: "witness",
  init(given) {
    host = given;
    said.length = 0;
    note("init", `${given.stage} ${given.wasNeeded}`);
    if (given.stage === "dump") given.neededAtRestore();
  },
  exit: (_, failure) => note("exit", failure?.message),
  dumpExternalFile: ({ link }) => note("dumpExternalFile", link),
  handleDeviceVma({ path, pid, start, end }) {
    note("handleDeviceVma", `${pid} ${path} ${end - start}`);
    return true;
  },
  updateVmaMap(path, _start, offset) {
    note("updateVmaMap", `${path} ${offset}`);
    return { offset: offset + 4096 };
  },
  pauseDevices: (pid) => note("pauseDevices", String(pid)),
  checkpointDevices: (pid) => note("checkpointDevices", String(pid)),
  postForking: () => note("postForking"),
  resumeDevicesLate: (pid) => note("resumeDevicesLate", String(pid)),
} satisfies Plugin;
