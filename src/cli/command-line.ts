/** What the user asks for: the words of the command line over the configuration files over the defaults. */

import {
  COMMANDS,
  type Command,
  contradiction,
  defaultOptions,
  type Given,
  isBuilt,
  keyOf,
  type Option,
  OptionError,
  type Options,
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

/**
 * Reads a command line and the configuration files that go with it. `help` and `version` come back before
 * anything else is looked at. Throws OptionError for whatever cannot be done as asked: its message is one line
 * for the user.
 */
export function readCommandLine(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Request | "help" | "version" {
  if (asksForHelp(args)) return "help";
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
  if (options.help) return "help";
  if (options.version) return "version";

  const { command, rest } = findCommand(words);
  refuseUnbuilt(command, all, options);
  refuseRest(command, rest, options);
  const wrong = contradiction(options, command);
  if (wrong !== undefined) throw new OptionError(wrong);
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

/** What is known but not built is never passed over in silence. A flag that ends up off asks for nothing. */
function refuseUnbuilt(command: Command, given: readonly Given[], options: Options): void {
  for (const { name, built } of COMMANDS) {
    if (name === command && !built)
      throw new OptionError(`the command ${command} is known but not built yet`);
  }
  const missing = new Set<Option>();
  for (const { option } of given) {
    if (isBuilt(option, command)) continue;
    if (option.value.kind === "flag" && options[keyOf(option.long) as keyof Options] === false) continue;
    missing.add(option);
  }
  if (missing.size === 0) return;
  const names = [...missing].map((option) => `--${option.long}`);
  const what = names.length === 1 ? `the option ${names[0]} is` : `the options ${names.join(", ")} are`;
  throw new OptionError(`${what} known but not built yet for ${command}`);
}

function refuseRest(command: Command, rest: readonly string[], options: Options): void {
  if (command === "swrk") {
    if (rest.length !== 1) throw new OptionError("swrk needs one thing, the number of its descriptor");
  } else if (command === "exec") {
    if (rest.length === 0) throw new OptionError("exec needs a system call, by its name or number");
  } else if (options.execCmd) {
    if (rest.length === 0) throw new OptionError("--exec-cmd needs a command after --");
  } else if (rest.length > 0) {
    throw new OptionError(`${command} takes no further words: ${rest.join(" ")}`);
  }
}
