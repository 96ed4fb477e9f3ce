/** The help text, made from the table of options. */

import {
  COMMANDS,
  type Command,
  keyOf,
  OPTIONS,
  type Option,
  OptionError,
  type Options,
} from "../options.ts";
import { detailsOf } from "./details.ts";

const COLUMN = 32;
/** No line of running text is longer. */
const WIDTH = 100;
const SECTIONS: readonly string[] = [...new Set(OPTIONS.map(({ section }) => section))].filter(
  (each) => each !== "Retired",
);

/** What stands behind a command. */
export const ARGUMENTS: { readonly [C in Command]?: string } = {
  dump: " -t PID",
  "pre-dump": " -t PID",
  swrk: " FD",
  exec: " -t PID SYSCALL [ARG]...",
};

/** Options by their sections, one a line. */
function listed(options: readonly Option[]): string[] {
  const lines: string[] = [];
  let section = "";
  for (const option of options) {
    if (option.help === "") continue;
    if (option.section !== section) {
      if (section !== "") lines.push("");
      section = option.section;
      lines.push(section);
    }
    lines.push(row(synopsis(option), option.help, option.built.length > 0));
  }
  return lines;
}

/** All of it, ready to print. What is not built yet says so. */
export function helpText(): string {
  const lines = [
    "Usage: criu COMMAND [OPTION]...",
    "       criu dump -t PID -D DIR       save the process tree of PID into images in DIR",
    "       criu restore -d -D DIR        bring it back from them",
    "",
    "Commands",
  ];
  for (const command of COMMANDS) {
    if (command.help !== "") lines.push(row(`  ${command.name}`, command.help, command.built));
  }
  lines.push("", ...listed(OPTIONS));
  lines.push(
    "",
    "criu help COMMAND, criu help OPTION or criu help SECTION tell more.",
    "",
    "Flags marked * have an opposite: --no-display-stats. Options can also stand in configuration files, by",
    "their long names without dashes: /etc/criu/default.conf, ~/.criu/default.conf, $CRIU_CONFIG_FILE.",
    "",
  );
  return lines.join("\n");
}

/**
 * What there is to say of a command, of an option (with or without its dashes), or of all options that have to do with something.
 * @throws OptionError when there is no such topic
 */
export function helpOn(words: readonly string[]): string {
  const topic = words.join(" ");
  const command = COMMANDS.find(({ name, help }) => name === topic && help !== "");
  if (command !== undefined) return helpOnCommand(command);
  const bare = topic.replace(/^--?/, "");
  const option = OPTIONS.find(
    ({ long, short }) => long === bare || (short === bare && topic !== `--${bare}`),
  );
  if (option !== undefined) return helpOnOption(option);
  const section = SECTIONS.find((each) => each.toLowerCase().startsWith(topic.toLowerCase()));
  if (section !== undefined)
    return `${listed(OPTIONS.filter((each) => each.section === section)).join("\n")}\n`;
  throw new OptionError(
    `there is no help on ${topic}; topics are commands, options, and ${SECTIONS.map((each) => each.toLowerCase()).join(", ")}`,
  );
}

function helpOnCommand({ name, help, built }: (typeof COMMANDS)[number]): string {
  const own = OPTIONS.filter(({ commands }) => commands.includes(name) && commands.length < COMMANDS.length);
  const common = OPTIONS.filter(({ commands }) => commands.length >= COMMANDS.length);
  return [
    `Usage: criu ${name}${ARGUMENTS[name] ?? ""} [OPTION]...`,
    "",
    `${help}${built ? "" : " (not built yet)"}`,
    "",
    ...listed(own),
    ...(own.length > 0 ? [""] : []),
    ...listed(common),
    "",
  ].join("\n");
}

function helpOnOption(option: Option): string {
  const key = keyOf(option.long) as keyof Options;
  const commands = option.commands.length >= COMMANDS.length ? "every command" : option.commands.join(", ");
  const missing = option.commands.filter((each) => !option.built.includes(each));
  const details = detailsOf(key);
  const lines = [`${synopsis(option).trim().replace(" *", "")}`, "", ...folded(`${option.help}.`)];
  if (details !== undefined) lines.push("", ...folded(details));
  lines.push("", `For: ${commands}`);
  if (missing.length > 0) lines.push(`Not built yet for: ${missing.join(", ")}`);
  const { words } = option.value;
  if (words !== undefined) lines.push(`One of: ${words.join(", ")}`);
  const before = defaultOf(option);
  if (before !== undefined) lines.push(`If not given: ${before}`);
  if (option.negatable === true) lines.push(`Its opposite: --no-${option.long}`);
  lines.push(
    `In a configuration file: ${option.long}${option.metavar === undefined ? "" : ` ${option.metavar}`}`,
  );
  if (option.rpc !== undefined) lines.push(`By RPC: ${option.rpc}`);
  return `${lines.join("\n")}\n`;
}

/** What an option's value is when nobody says, in words; undefined where that is nothing or no. */
export function defaultOf({ long, value }: Option): string | undefined {
  if (long === "ghost-limit") return "1M";
  if (long === "cpu-cap") return "fpu,ins";
  // Its text says it.
  if (long === "images-dir") return undefined;
  const { initial } = value;
  if (typeof initial === "number" || typeof initial === "string") return String(initial);
  return initial === true ? "yes" : undefined;
}

/** Text in lines that fit. */
function folded(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length >= WIDTH) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** An option as the help shows it. */
export function synopsis(option: Option): string {
  const short = option.short === undefined ? "   " : `-${option.short},`;
  const name = option.metavar ?? "VALUE";
  const argument =
    option.argument === "none" ? "" : option.argument === "required" ? ` ${name}` : `[=${name}]`;
  return `  ${short} --${option.long}${argument}${option.negatable === true ? " *" : ""}`;
}

function row(left: string, help: string, built: boolean): string {
  const text = built ? help : `${help} (not built yet)`;
  return left.length < COLUMN ? `${left.padEnd(COLUMN)}${text}` : `${left}\n${" ".repeat(COLUMN)}${text}`;
}
