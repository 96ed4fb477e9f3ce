/** The words of `crit`: the same as CRIU's crit takes. */

interface Flag {
  readonly long: string;
  readonly short?: string;
  /** What its argument is called; none where it is a mere flag. */
  readonly metavar?: string;
  readonly help: string;
}

interface Positional {
  readonly name: string;
  readonly choices?: readonly string[];
  readonly help: string;
}

interface Form {
  readonly help: string;
  readonly flags: readonly Flag[];
  readonly positionals: readonly Positional[];
}

const IN = (what: string): Flag => ({
  long: "in",
  short: "i",
  metavar: "IN",
  help: `${what} (standard input if not given)`,
});
const OUT = (what: string): Flag => ({
  long: "out",
  short: "o",
  metavar: "OUT",
  help: `${what} (standard output if not given)`,
});

/** What can be asked for, by the first word. */
export const FORMS = {
  decode: {
    help: "print an image as JSON",
    flags: [
      { long: "pretty", help: "in many lines, with names and hexadecimal numbers" },
      IN("the image"),
      OUT("where the JSON goes"),
    ],
    positionals: [],
  },
  encode: {
    help: "make an image of JSON",
    flags: [IN("the JSON"), OUT("where the image goes")],
    positionals: [],
  },
  info: {
    help: "tell the kind of an image and how many entries it has",
    flags: [],
    positionals: [{ name: "in", help: "the image" }],
  },
  x: {
    help: "explore a directory of images",
    flags: [],
    positionals: [
      { name: "dir", help: "the directory" },
      {
        name: "what",
        choices: ["ps", "fds", "mems", "rss"],
        help: "the tree, files, mappings, or stored pages",
      },
    ],
  },
  show: {
    help: "print an image as JSON for people: decode --pretty",
    flags: [{ long: "nopl", help: "of payloads only how long they are" }],
    positionals: [{ name: "in", help: "the image" }],
  },
  report: {
    help: "make a page that shows a directory of images to a person",
    flags: [{ long: "out", short: "o", metavar: "FILE", help: "the page (standard output if not given)" }],
    positionals: [{ name: "dir", help: "the directory" }],
  },
} as const satisfies Record<string, Form>;

type Name = keyof typeof FORMS;

export type Command =
  | { readonly name: "help"; readonly of: Name | undefined }
  | { readonly name: "version" }
  | {
      readonly name: "decode";
      readonly in: string | undefined;
      readonly out: string | undefined;
      readonly pretty: boolean;
      readonly noPayload: boolean;
    }
  | { readonly name: "encode"; readonly in: string | undefined; readonly out: string | undefined }
  | { readonly name: "info"; readonly in: string }
  | { readonly name: "x"; readonly dir: string; readonly what: string }
  | { readonly name: "report"; readonly dir: string; readonly out: string | undefined };

/** The words make no sense. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  constructor(
    message: string,
    /** How it is used, to be printed first. */
    readonly usage: string,
  ) {
    super(message);
  }
}

function isName(word: string): word is Name {
  return Object.hasOwn(FORMS, word);
}

/** @throws UsageError */
export function parseWords(words: readonly string[]): Command {
  const [first, ...rest] = words;
  const usage = usageText(undefined, false);
  if (first === undefined) throw new UsageError("too few arguments", usage);
  if (first === "-h" || first === "--help") return { name: "help", of: undefined };
  if (first === "--version") return { name: "version" };
  if (!isName(first)) {
    throw new UsageError(`"${first}" is no command: ${Object.keys(FORMS).join(", ")} are`, usage);
  }
  const given = new Words(first, rest);
  if (given.wantsHelp) return { name: "help", of: first };
  const get = (name: string): string | undefined => given.values.get(name);
  const must = (name: string): string => get(name) ?? given.fail(`${name} is missing`);
  switch (first) {
    case "decode":
      return {
        name: first,
        in: get("in"),
        out: get("out"),
        pretty: given.values.has("pretty"),
        noPayload: false,
      };
    case "show":
      return {
        name: "decode",
        in: must("in"),
        out: undefined,
        pretty: true,
        noPayload: given.values.has("nopl"),
      };
    case "encode":
      return { name: first, in: get("in"), out: get("out") };
    case "info":
      return { name: first, in: must("in") };
    case "x":
      return { name: first, dir: must("dir"), what: must("what") };
    case "report":
      return { name: first, dir: must("dir"), out: get("out") };
  }
}

/** The flags and other words behind the first one, by their names. */
class Words {
  readonly values = new Map<string, string>();
  wantsHelp = false;
  private readonly form: Form;
  private left: string[];
  private placed = 0;

  constructor(
    private readonly command: Name,
    words: readonly string[],
  ) {
    this.form = FORMS[command];
    this.left = [...words];
    for (let word = this.left.shift(); word !== undefined; word = this.left.shift()) {
      if (word === "--") {
        for (const other of this.left) this.place(other);
        break;
      }
      if (word.startsWith("--")) this.long(word.slice(2));
      else if (word.startsWith("-") && word !== "-") this.short(word.slice(1));
      else this.place(word);
    }
  }

  fail(what: string): never {
    throw new UsageError(what, usageText(this.command, false));
  }

  private place(word: string): void {
    const { positionals } = this.form;
    const positional = positionals[this.placed++];
    if (positional === undefined) this.fail(`"${word}" is one word too many`);
    if (positional.choices?.includes(word) === false) {
      this.fail(`"${word}" is none of ${positional.choices.join(", ")}`);
    }
    this.values.set(positional.name, word);
  }

  /** A flag may be cut short, as long as it is clear which one is meant. */
  private long(text: string): void {
    const [name = "", value] = splitOnce(text, "=");
    if (name !== "" && "help".startsWith(name)) {
      this.wantsHelp = true;
      return;
    }
    const meant = this.form.flags.filter(({ long }) => long.startsWith(name));
    const flag = meant.find(({ long }) => long === name) ?? (meant.length === 1 ? meant[0] : undefined);
    if (flag === undefined)
      this.fail(`--${name} is ${meant.length > 1 ? "more than one flag" : "no flag of it"}`);
    this.take(flag, value);
  }

  private short(text: string): void {
    const letter = text.charAt(0);
    if (letter === "h") {
      this.wantsHelp = true;
      return;
    }
    const flag = this.form.flags.find(({ short }) => short === letter);
    if (flag === undefined) this.fail(`-${letter} is no flag of it`);
    this.take(flag, text.length > 1 ? text.slice(1) : undefined);
  }

  private take(flag: Flag, attached: string | undefined): void {
    if (flag.metavar === undefined) {
      if (attached !== undefined) this.fail(`--${flag.long} takes no argument`);
      this.values.set(flag.long, "");
      return;
    }
    this.values.set(
      flag.long,
      attached ?? this.left.shift() ?? this.fail(`--${flag.long} needs an argument`),
    );
  }
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

const COLUMN = 24;

/** How `crit`, or one of its commands, is used; all of it with `whole`. Lines, each with its end. */
export function usageText(command: string | undefined, whole: boolean): string {
  if (command === undefined || !isName(command)) {
    const usage = `usage: crit [-h] [--version] {${Object.keys(FORMS).join(",")}} ...\n`;
    if (!whole) return usage;
    const rows = Object.entries(FORMS).map(([name, { help }]) => row(name, help));
    return `${usage}\nCRIU Image Tool\n\n${rows.join("")}\nUse crit COMMAND --help for one of them.\n`;
  }
  const { flags, positionals, help }: Form = FORMS[command];
  const words = flags.map((flag) => `[${synopsis(flag)}]`);
  const places = positionals.map(({ name, choices }) =>
    choices === undefined ? name : `{${choices.join(",")}}`,
  );
  const usage = `usage: crit ${[command, "[-h]", ...words, ...places].join(" ")}\n`;
  if (!whole) return usage;
  const rows = [
    ...positionals.map(({ name, help }) => row(name, help)),
    ...flags.map((flag) =>
      row(`${flag.short === undefined ? "" : `-${flag.short}, `}${synopsis(flag)}`, flag.help),
    ),
  ];
  return `${usage}\n${help}\n\n${rows.join("")}`;
}

function synopsis({ long, metavar }: Flag): string {
  return `--${long}${metavar === undefined ? "" : ` ${metavar}`}`;
}

function row(left: string, help: string): string {
  return `  ${left.padEnd(COLUMN)}${help}\n`;
}
