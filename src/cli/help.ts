/** The help text, made from the table of options. */

import { COMMANDS, OPTIONS, type Option } from "../options.ts";

const COLUMN = 32;

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
  let section = "";
  for (const option of OPTIONS) {
    if (option.help === "") continue;
    if (option.section !== section) {
      section = option.section;
      lines.push("", section);
    }
    lines.push(row(synopsis(option), option.help, option.built.length > 0));
  }
  lines.push(
    "",
    "Flags marked * have an opposite: --no-display-stats. Options can also stand in configuration files, by",
    "their long names without dashes: /etc/criu/default.conf, ~/.criu/default.conf, $CRIU_CONFIG_FILE.",
    "",
  );
  return lines.join("\n");
}

function synopsis(option: Option): string {
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
