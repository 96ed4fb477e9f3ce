/**
 * Configuration files: one option a line, by its long name without the dashes, its argument after blanks.
 *
 *     work-dir "/home/me/my \"work\" directory"   # a comment
 *     no-restore-sibling
 *
 * An argument with blanks stands in double quotes; `\"` is a quote, any other backslash is itself; `#` starts a
 * comment unless quoted. `name=argument` is read too, as CRIU reads it.
 */

import { errnoName, KernelError } from "../linux/errno.ts";
import { exists, readText } from "../linux/io.ts";
import { log } from "../log.ts";
import { COMMANDS, type Given, OPTIONS, OptionError } from "../options.ts";
import { findLong } from "./argv.ts";

export interface ConfigFile {
  readonly path: string;
  /** Whether somebody named it: then it has to be there. */
  readonly named: boolean;
}

/**
 * The files to read, in their order; later ones override. `--config` takes the place of the default ones, but
 * not of the one that the environment names.
 */
export function configFiles(
  chosen: { config: string | undefined; noDefaultConfig: boolean },
  env: Readonly<Record<string, string | undefined>>,
): readonly ConfigFile[] {
  const files: ConfigFile[] = [];
  if (chosen.config === undefined && !chosen.noDefaultConfig) {
    files.push({ path: "/etc/criu/default.conf", named: false });
    if (env.HOME) files.push({ path: `${env.HOME}/.criu/default.conf`, named: false });
    else log.info("config", "HOME is not set: no configuration file of the user");
  }
  if (env.CRIU_CONFIG_FILE) files.push({ path: env.CRIU_CONFIG_FILE, named: true });
  if (chosen.config !== undefined) files.push({ path: chosen.config, named: true });
  return files;
}

/** The options in a file; none if it is not there and nobody named it. Throws OptionError with file and line. */
export function readConfig(file: ConfigFile): readonly Given[] {
  if (!file.named && !exists(file.path)) return [];
  let content: string;
  try {
    content = readText(file.path);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new OptionError(`cannot read the configuration file ${file.path}: ${errnoName(error.errno)}`);
  }
  log.debug("config", `reading ${file.path}`);
  return parseConfig(content, file.path);
}

/** The options in the text of a file named `path`. */
export function parseConfig(content: string, path: string): readonly Given[] {
  const given: Given[] = [];
  for (const [index, line] of content.split("\n").entries()) {
    const as = `${path}:${index + 1}`;
    try {
      const found = parseLine(line);
      if (found !== undefined) given.push({ ...lookUp(found), as });
    } catch (error) {
      if (error instanceof OptionError) throw new OptionError(`${as}: ${error.message}`);
      throw error;
    }
  }
  return given;
}

function lookUp({ name, text }: Statement): Omit<Given, "as"> {
  if (name.startsWith("-")) throw new OptionError(`options stand without dashes here: ${name}`);
  const isOption = OPTIONS.some((each) => each.long === name);
  if (!isOption && COMMANDS.some((command) => command.name.split(" ")[0] === name)) {
    throw new OptionError(`a command cannot stand here: ${name}`);
  }
  const { option, on } = findLong(name, name);
  if (text !== undefined && (option.argument === "none" || !on)) {
    throw new OptionError(`option ${name} takes no argument`);
  }
  if (text === undefined && option.argument === "required") {
    throw new OptionError(`option ${name} needs an argument`);
  }
  return { option, text, on };
}

interface Statement {
  readonly name: string;
  readonly text: string | undefined;
}

const NAME = /^\s*([^\s#=]+)(?:=|\s*)/;
const QUOTED = /^"((?:\\"|\\(?!")|[^"\\])*)"/;
const BARE = /^[^\s#]+/;
const REST = /^\s*(?:#.*)?$/;

/** What a line says, if anything. Throws OptionError. */
export function parseLine(line: string): Statement | undefined {
  if (REST.test(line)) return undefined;
  const head = NAME.exec(line);
  if (head?.[1] === undefined) throw new OptionError("expected the name of an option");
  const tail = line.slice(head[0].length);
  const name = head[1];
  if (REST.test(tail)) return { name, text: undefined };
  const quoted = QUOTED.exec(tail);
  if (quoted === null && tail.startsWith('"')) throw new OptionError("the quote is not closed");
  const [whole, inner] = quoted ?? BARE.exec(tail) ?? [""];
  if (!REST.test(tail.slice(whole.length))) {
    throw new OptionError("more than one argument; one with blanks needs double quotes");
  }
  return { name, text: (inner ?? whole).replaceAll('\\"', '"') };
}
