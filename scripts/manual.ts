/**
 * What the build makes of the tables beside the executables: the manual pages criu.8 and crit.1, in man(7)'s macros, and the
 * completions of bash for both.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { detailsOf } from "../src/cli/details.ts";
import { ARGUMENTS, defaultOf } from "../src/cli/help.ts";
import { FORMS } from "../src/crit/command-line.ts";
import { COMMANDS, keyOf, OPTIONS, type Option, type Options } from "../src/options.ts";
import { CRIU_VERSION, VERSION } from "../src/version.ts";

/** Text as man(7) takes it: nothing in it is a request or an escape. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");
}

const bold = (text: string) => `\\fB${escaped(text)}\\fR`;
const italic = (text: string) => `\\fI${escaped(text)}\\fR`;

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return escaped(/[.:]$/.test(whole) ? whole : `${whole}.`);
}

function head(name: string, section: number): string[] {
  return [`.TH ${name.toUpperCase()} ${section} "" "criu\\-ts ${escaped(VERSION)}, as CRIU ${CRIU_VERSION}"`];
}

/** The flags of an option, and what stands behind them. */
function flagsOf({ short, long, argument, metavar = "VALUE" }: Option): string {
  const value =
    argument === "none" ? "" : argument === "required" ? ` ${italic(metavar)}` : `[=${italic(metavar)}]`;
  return `${short === undefined ? "" : `${bold(`-${short}`)}, `}${bold(`--${long}`)}${value}`;
}

function optionText(option: Option): string[] {
  const details = detailsOf(keyOf(option.long) as keyof Options);
  const notes: string[] = [];
  if (option.commands.length < COMMANDS.length) notes.push(`For ${option.commands.join(", ")}.`);
  const missing = option.commands.filter((each) => !option.built.includes(each));
  if (missing.length > 0) notes.push(`Not built yet for ${missing.join(", ")}.`);
  const before = defaultOf(option);
  if (before !== undefined) notes.push(`If not given: ${before}.`);
  if (option.negatable === true) notes.push(`Its opposite is --no-${option.long}.`);
  return [
    ".TP",
    flagsOf(option),
    sentence(option.help),
    ...(details === undefined ? [] : [escaped(details)]),
    ...(notes.length === 0 ? [] : [".br", escaped(notes.join(" "))]),
  ];
}

/** The page criu.8. */
export function criuPage(): string {
  const lines = [
    ...head("criu", 8),
    ".SH NAME",
    "criu \\- checkpoint and restore of process trees",
    ".SH SYNOPSIS",
    `.B criu\n${italic("COMMAND")} [${italic("OPTION")}]...`,
    ".SH DESCRIPTION",
    escaped(
      "criu saves a running tree of processes as files, and brings it back from them later, with its memory, threads, files, connections and numbers. The command line, the images and the log are CRIU's.",
    ),
    ".SH COMMANDS",
  ];
  for (const { name, help, built } of COMMANDS) {
    if (help === "") continue;
    lines.push(
      ".TP",
      `${bold(name)}${escaped(ARGUMENTS[name] ?? "")}`,
      sentence(built ? help : `${help} (not built yet)`),
    );
  }
  lines.push(
    ".TP",
    `${bold("help")} [${italic("TOPIC")}]`,
    sentence("tell about a command, an option, or a section of this page"),
  );
  lines.push(".SH OPTIONS");
  let section = "";
  for (const option of OPTIONS) {
    if (option.help === "") continue;
    if (option.section !== section) {
      section = option.section;
      lines.push(`.SS ${section}`);
    }
    lines.push(...optionText(option));
  }
  lines.push(
    ".SH CONFIGURATION FILES",
    escaped(
      'One option a line, by its long name without dashes, its argument behind a blank; an argument with blanks stands in double quotes, in which \\" is a quote. A # begins a comment. /etc/criu/default.conf is read first, then ~/.criu/default.conf, then the file that the environment variable CRIU_CONFIG_FILE names, then that of --config; the command line, or a request by RPC, comes after all of them, and the file that a request names comes last.',
    ),
    ".SH ACTION SCRIPTS",
    escaped(
      "The stages are pre-dump, network-lock, post-dump and network-unlock of a dump; pre-restore, setup-namespaces, post-setup-namespaces, post-restore, network-unlock, pre-resume and post-resume of a restore; and status-ready of a server. Those about the network and namespaces come only where the tree has its own.",
    ),
    ".SH REMOTE PROCEDURE CALLS",
    escaped(
      "criu service listens on a Unix socket (SOCK_SEQPACKET), criu swrk serves one client on an inherited descriptor; both speak CRIU's rpc.proto. Whoever connects to the service is served by a process with the client's own user, groups and capabilities, and CAP_CHECKPOINT_RESTORE.",
    ),
    ".SH EXIT STATUS",
    escaped(
      "0 if all went well, otherwise 1; after a dump that a script forbids to end, what the script exited with.",
    ),
    ".SH SEE ALSO",
    ".BR crit (1),",
    ".BR ptrace (2),",
    ".BR capabilities (7),",
    ".BR namespaces (7)",
    "",
  );
  return lines.join("\n");
}

/** The page crit.1. */
export function critPage(): string {
  const lines = [
    ...head("crit", 1),
    ".SH NAME",
    "crit \\- print and make images of criu",
    ".SH SYNOPSIS",
    `.B crit\n${italic("COMMAND")} [${italic("OPTION")}]...`,
    ".SH COMMANDS",
  ];
  for (const [name, { help, flags, positionals }] of Object.entries(FORMS)) {
    const words = positionals.map((each) => italic(each.name.toUpperCase())).join(" ");
    lines.push(`.SS ${bold(name)} ${words}`, sentence(help));
    for (const positional of positionals) {
      const choices = "choices" in positional ? ` (${positional.choices.join(", ")})` : "";
      lines.push(".TP", italic(positional.name.toUpperCase()), sentence(`${positional.help}${choices}`));
    }
    for (const flag of flags) {
      const short = "short" in flag ? `${bold(`-${flag.short}`)}, ` : "";
      const value = "metavar" in flag ? ` ${italic(flag.metavar)}` : "";
      lines.push(".TP", `${short}${bold(`--${flag.long}`)}${value}`, sentence(flag.help));
    }
  }
  lines.push(".SH SEE ALSO", ".BR criu (8)", "");
  return lines.join("\n");
}

/** Options whose argument is the name of a file or a directory. */
const PATHS: ReadonlySet<string> = new Set(["FILE", "DIR", "PATH"]);

/** Completions of bash for criu. */
export function criuCompletion(): string {
  const options = OPTIONS.filter(({ help }) => help !== "");
  const flags = options.flatMap(({ long, short, negatable }) => [
    `--${long}`,
    ...(negatable === true ? [`--no-${long}`] : []),
    ...(short === undefined ? [] : [`-${short}`]),
  ]);
  const cases: string[] = [];
  for (const { long, short, argument, metavar = "", value } of options) {
    if (argument === "none") continue;
    const pattern = short === undefined ? `--${long}` : `--${long}|-${short}`;
    if (value.words !== undefined)
      cases.push(`    ${pattern}) COMPREPLY=($(compgen -W "${value.words.join(" ")}" -- "$word")); return;;`);
    else if (argument === "optional") continue;
    else if (PATHS.has(metavar))
      cases.push(
        `    ${pattern}) compopt -o filenames; COMPREPLY=($(compgen -${metavar === "DIR" ? "d" : "f"} -- "$word")); return;;`,
      );
    else if (metavar === "PID")
      cases.push(
        `    ${pattern}) COMPREPLY=($(compgen -W "$(cd /proc && echo [0-9]*)" -- "$word")); return;;`,
      );
    else cases.push(`    ${pattern}) return;;`);
  }
  const commands = [
    ...new Set(COMMANDS.filter(({ help }) => help !== "").map(({ name }) => name.split(" ")[0])),
  ];
  return `# Completions of bash for criu.
_criu() {
  local word=$2 before=$3
  COMPREPLY=()
  case $before in
${cases.join("\n")}
    cpuinfo) COMPREPLY=($(compgen -W "dump check" -- "$word")); return;;
    help) COMPREPLY=($(compgen -W "${[...commands, ...options.map(({ long }) => long)].join(" ")}" -- "$word")); return;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "${flags.join(" ")}" -- "$word"));;
    *) COMPREPLY=($(compgen -W "${[...commands, "help"].join(" ")}" -- "$word"));;
  esac
}
complete -F _criu criu
`;
}

/** Completions of bash for crit. */
export function critCompletion(): string {
  const cases = Object.entries(FORMS).map(([name, { flags, positionals }]) => {
    const words = [
      ...flags.flatMap((flag) => [`--${flag.long}`, ...("short" in flag ? [`-${flag.short}`] : [])]),
      ...positionals.flatMap((each) => ("choices" in each ? each.choices : [])),
    ];
    return `    ${name}) COMPREPLY+=($(compgen -W "${words.join(" ")}" -- "$2"));;`;
  });
  return `# Completions of bash for crit.
_crit() {
  COMPREPLY=()
  if [ "$COMP_CWORD" -le 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(FORMS).join(" ")}" -- "$2"))
    return
  fi
  compopt -o filenames
  COMPREPLY=($(compgen -f -- "$2"))
  case \${COMP_WORDS[1]} in
${cases.join("\n")}
  esac
}
complete -F _crit crit
`;
}

/** Writes all of it below a directory, as an installation has it: share/man, share/bash-completion. */
export function writeManual(into: string): void {
  const put = (directory: string, name: string, text: string) => {
    const path = join(into, "share", directory);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, name), text);
  };
  put("man/man8", "criu.8", criuPage());
  put("man/man1", "crit.1", critPage());
  put("bash-completion/completions", "criu", criuCompletion());
  put("bash-completion/completions", "crit", critCompletion());
}
