/** The executable `criu`. What a command does not need is not loaded. */

import { closeLog, getLevel, Level, log, say, setLevel } from "./log.ts";
import { OptionError } from "./options.ts";
import { versionText } from "./version.ts";

const args = process.argv.slice(2);
process.exit(await main());

/** Returns the exit code: 0 when all went well, as CRIU's; otherwise 1, or what the procedure says. */
async function main(): Promise<number> {
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
    say(versionText());
    return 0;
  }
  try {
    const { readCommandLine } = await import("./cli/command-line.ts");
    const request = readCommandLine(args, process.env);
    if (request === "version") {
      say(versionText());
      return 0;
    }
    if (request === "help") {
      say((await import("./cli/help.ts")).helpText());
      return 0;
    }
    const { enter } = await import("./cli/enter.ts");
    const options = enter(request.options, request.command);
    switch (request.command) {
      case "dump":
        return await (await import("./dump.ts")).dump(options);
      case "restore":
        return await (await import("./restore.ts")).restore(options);
      default:
        throw new OptionError(`the command ${request.command} is known but not built yet`);
    }
  } catch (error) {
    // What is wrong with the request is said on standard error even under -v0.
    if (error instanceof OptionError) setLevel(Math.max(getLevel(), Level.error));
    log.error("criu", error instanceof Error ? error.message : String(error));
    if (error instanceof Error && !(error instanceof OptionError)) log.debug("criu", error.stack ?? "");
    return 1;
  } finally {
    closeLog();
  }
}
