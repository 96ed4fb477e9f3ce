/** What the user asks for: the words of the command line over the configuration files over the defaults. */

import {
  type Command,
  contradiction,
  defaultOptions,
  type Given,
  OptionError,
  type Options,
  unbuilt,
  withGiven,
} from "../options.ts";
import { findCommand, parseWords } from "./argv.ts";
import { configFiles, readConfig } from "./config.ts";

export interface Request {
  readonly command: Command;
  /** Words after the command: the descriptor of `swrk`, the command line of `--exec-cmd`, the call of `exec`. */
  readonly rest: readonly string[];
  readonly options: Options;
}

/** `criu help`, and what it is to be about. */
export interface HelpRequest {
  readonly help: readonly string[];
}

/**
 * Reads a command line and the configuration files that go with it. Help and `version` come back before
 * anything else is looked at. Throws OptionError for whatever cannot be done as asked: its message is one line
 * for the user.
 */
export function readCommandLine(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Request | HelpRequest | "version" {
  if (asksForHelp(args)) return { help: [] };
  const [first, ...topic] = args;
  if (first === "help") return { help: topic };
  const { given, words } = parseWords(args);
  let config: string | undefined;
  let noDefaultConfig = false;
  for (const { option, text } of given) {
    if (option.long === "config") config = text;
    else if (option.long === "no-default-config") noDefaultConfig = true;
  }
  const all: Given[] = [];
  for (const file of configFiles({ config, noDefaultConfig }, env)) all.push(...readConfig(file));
  all.push(...given);
  const options = withGiven(defaultOptions(), all);
  if (options.help) return { help: [] };
  if (options.version) return "version";

  const { command, rest } = findCommand(words);
  refuseSenseless(options, command);
  refuseRest(command, rest, options);
  return { command, rest, options };
}

/** Help is given even where the rest of the line makes no sense. */
function asksForHelp(args: readonly string[]): boolean {
  for (const word of args) {
    if (word === "--") return false;
    if (word === "-h" || word === "--help") return true;
  }
  return false;
}

/** @throws OptionError for what is not built, or makes no sense: neither is ever passed over in silence */
export function refuseSenseless(options: Options, command: Command): void {
  const wrong = unbuilt(options, command) ?? contradiction(options, command);
  if (wrong !== undefined) throw new OptionError(wrong);
}

function refuseRest(command: Command, rest: readonly string[], options: Options): void {
  // A server in the background is told of its socket by a number.
  if (
    (command === "service" || command === "page-server") &&
    rest.length === 1 &&
    /^\d{1,9}$/.test(rest[0] ?? "")
  )
    return;
  if (command === "swrk") {
    if (rest.length === 0) throw new OptionError("swrk needs one thing, the number of its descriptor");
  } else if (command === "exec") {
    if (rest.length === 0) throw new OptionError("exec needs a system call, by its name or number");
  } else if (options.execCmd) {
    if (rest.length === 0) throw new OptionError("--exec-cmd needs a command after --");
  } else if (rest.length > 0) {
    throw new OptionError(`${command} takes no further words: ${rest.join(" ")}`);
  }
}
