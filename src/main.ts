/**
 * The executable `criu`: which procedure a command is. What a command does not need is not loaded, and
 * `--version` needs next to nothing: console.log rather than our log, which opens the door to the kernel.
 *
 * Under the name `crit`, a link to it, it is the image tool, and so it is as `criu crit`.
 */

import type { Procedures } from "./cli/run.ts";
import { versionText } from "./version.ts";

const procedures: Procedures = {
  dump: async () => (await import("./dump.ts")).dump,
  restore: async () => (await import("./restore.ts")).restore,
  "pre-dump": async () => (await import("./migrate/pre-dump.ts")).preDump,
  "page-server": async () => (await import("./rpc/page-server.ts")).pageServer,
  dedup: async () => (await import("./migrate/dedup.ts")).dedup,
  check: async () => (await import("./check/check.ts")).check,
  exec: async () => (await import("./exec.ts")).exec,
  "cpuinfo dump": async () => (await import("./check/cpuinfo.ts")).cpuinfoDump,
  "cpuinfo check": async () => (await import("./check/cpuinfo.ts")).cpuinfoCheck,
  service: async () => (await import("./rpc/service.ts")).service,
  swrk: async () => (await import("./rpc/worker.ts")).worker(procedures),
};

/** The words that we were started with, the name first. */
let args = [process.argv0, ...process.argv.slice(2)];
// Said by the build alone (warm/make.ts). What is started from the snapshot goes on behind this line.
if (args[1] === "standby" && process.env.CRIU_TS_STANDBY)
  args = await (await import("./warm/standby.ts")).standby(args.slice(2), procedures);
const [name = "", ...words] = args;
if (name === "crit" || name.endsWith("/crit") || words[0] === "crit") {
  const { crit } = await import("./crit/main.ts");
  process.exit(await crit(words[0] === "crit" ? words.slice(1) : words));
} else if (words.length === 1 && (words[0] === "--version" || words[0] === "-V")) {
  console.log(versionText());
} else {
  const { run } = await import("./cli/run.ts");
  process.exit(await run(words, procedures));
}
