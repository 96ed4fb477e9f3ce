/** Options of the library's as words of the command line. */
import {
  COMMANDS,
  type Command,
  CpuCap,
  isBuilt,
  keyOf,
  OPTIONS,
  type Option,
  OptionError,
  type Options,
} from "../options.ts";

/**
 * The words that say what differs from the defaults. A value of undefined asks for nothing.
 * @throws OptionError for what is unknown, misspelt, of the wrong type, or means nothing to the command
 */
export function wordsOf(command: Command, options: Partial<Options>): string[] {
  const words: string[] = [];
  const isWhole = COMMANDS.some(({ name, built }) => name === command && built);
  const known = new Map(OPTIONS.map((option) => [String(keyOf(option.long)), option]));
  for (const [key, value] of Object.entries(options)) {
    const option = known.get(key);
    if (option === undefined) throw new OptionError(`unknown option ${key}${nearest(key, known.keys())}`);
    if (value === undefined) continue;
    if (!option.commands.includes(command))
      throw new OptionError(`the option ${key} means nothing to ${command}`);
    if (isWhole && !isBuilt(option, command))
      throw new OptionError(`the option ${key} is known but not built yet for ${command}`);
    words.push(...wordsOfOne(option, key, value));
  }
  return words;
}

function wordsOfOne(option: Option, key: string, value: unknown): string[] {
  const flag = `--${option.long}`;
  const { kind } = option.value;
  const wrong = (what: string) =>
    new OptionError(`the option ${key} takes ${what}, not ${JSON.stringify(value)}`);
  switch (kind) {
    case "flag":
      if (typeof value !== "boolean") throw wrong("true or false");
      if (value) return [flag];
      if (option.value.initial === false) return [];
      return [`--no-${option.long}`];
    case "list": {
      if (!Array.isArray(value)) throw wrong("a list");
      if (value.length === 0) return option.argument === "optional" ? [flag] : [];
      return value.map((each) => `${flag}=${each}`);
    }
    case "bits":
      if (typeof value !== "number") throw wrong("the sum of bits");
      return [`${flag}=${["none", ...bitNames(value)].join(",")}`];
    case "count":
    case "number":
    case "size":
      if (typeof value !== "number") throw wrong("a number");
      return [`${flag}=${value}`];
    case "text":
    case "choice":
      if (typeof value !== "string") throw wrong("a text");
      return [`${flag}=${value}`];
  }
}

function bitNames(bits: number): string[] {
  return (["fpu", "cpu", "ins"] as const).filter((name) => (bits & CpuCap[name]) !== 0);
}

/** What was probably meant. */
function nearest(key: string, known: Iterable<string>): string {
  const plain = (word: string) => word.toLowerCase().replaceAll(/[^a-z]/g, "");
  for (const each of known) if (plain(each) === plain(key)) return `; ${each} is meant, perhaps`;
  return "";
}
