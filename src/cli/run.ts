/** From the words of the command line to the exit code. */

import { Actions } from "../actions.ts";
import { openEvents, tell } from "../event-channel.ts";
import type { Failure } from "../events.ts";
import { armFaults } from "../faults.ts";
import { BaseError } from "../linux/base-error.ts";
import { errnoName, KernelError } from "../linux/errno.ts";
import { environment } from "../linux/ourselves.ts";
import { become } from "../linux/program.ts";
import { closeLog, getLevel, Level, log, say, setLevel } from "../log.ts";
import { type Command, OptionError, type Options } from "../options.ts";
import { versionText } from "../version.ts";
import { readCommandLine } from "./command-line.ts";
import { enter } from "./enter.ts";

/**
 * Does what a command says, in its work directory with the log open, and tells of its stages. `rest` are the words behind the
 * command. Returns the exit code.
 */
export type Procedure = (
  options: Options,
  actions: Actions,
  rest: readonly string[],
) => Promise<number> | number;

/** What loads a command's procedure, for the commands that are built. */
export type Procedures = { readonly [C in Command]?: () => Promise<Procedure> };

/** Returns the exit code: 0 when all went well, otherwise 1, or what the procedure says. */
export async function run(args: readonly string[], procedures: Procedures): Promise<number> {
  try {
    const env = environment();
    openEvents(env);
    armFaults(env);
    const request = readCommandLine(args, env);
    if (request === "version") {
      say(`${versionText()}\n`);
      return 0;
    }
    if ("help" in request) {
      const { helpOn, helpText } = await import("./help.ts");
      say(request.help.length === 0 ? helpText() : helpOn(request.help));
      return 0;
    }
    const load = procedures[request.command];
    if (load === undefined) throw new Error(`the command ${request.command} has no procedure`);
    const options = enter(request.options, request.command);
    const procedure = await load();
    using actions = new Actions(options.actionScript, options.imagesDir);
    const code = await procedure(options, actions, request.rest);
    const [program] = request.rest;
    if (code === 0 && options.execCmd && program !== undefined) become(program, request.rest);
    return code;
  } catch (error) {
    // What is wrong with the request is said on standard error even under -v0.
    if (error instanceof OptionError) setLevel(Math.max(getLevel(), Level.error));
    log.error("criu", error instanceof Error ? error.message : String(error));
    tell({ kind: "failure", failure: failureOf(error) });
    if (error instanceof Error && !(error instanceof OptionError)) log.debug("criu", error.stack ?? "");
    return 1;
  } finally {
    closeLog();
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message } = error;
  if (!(error instanceof BaseError)) return { name, message };
  const { kind, process, object, errno } = error;
  return {
    name,
    message,
    about: kind,
    ...(process !== undefined && { process }),
    ...(object !== undefined && { object }),
    ...(errno !== undefined && { errno: errnoName(errno) }),
    ...(error instanceof KernelError && { call: error.call }),
  };
}
