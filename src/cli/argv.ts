/**
 * The words of a command line, read as getopt_long(3) reads them: options and other words may be mixed, `--`
 * ends the options, short flags may be bundled, long ones may be shortened as long as one option is meant.
 *
 * Apart from getopt on one point: an optional argument may also be the next word if that is one of the words
 * which the option knows. CRIU's page and CRIU's parser disagree on whether `--file-validation filesize` is
 * right; here it is, and so is `--file-validation` alone.
 */

import { COMMANDS, type Command, type Given, OPTIONS, type Option, OptionError } from "../options.ts";

export interface Words {
  readonly given: readonly Given[];
  /** What is not an option: the command and what follows it. */
  readonly words: readonly string[];
}

/** Reads the words after the program's name. Throws OptionError for what is unknown, ambiguous or incomplete. */
export function parseWords(args: readonly string[]): Words {
  const given: Given[] = [];
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (word === "--") {
      words.push(...args.slice(i + 1));
      break;
    }
    if (word.startsWith("--")) {
      const end = word.indexOf("=");
      const as = end < 0 ? word : word.slice(0, end);
      const { option, on } = findLong(as.slice(2), as);
      let text = end < 0 ? undefined : word.slice(end + 1);
      if (option.argument === "none" || !on) {
        if (text !== undefined) throw new OptionError(`option ${as} takes no argument`);
      } else if (text === undefined && takesNext(option, args[i + 1], as)) text = args[++i];
      given.push({ option, text, on, as });
    } else if (word.length > 1 && word.startsWith("-") && !isNegative(word, words)) {
      for (let at = 1; at < word.length; at++) {
        const as = `-${word[at]}`;
        const option = findShort(word.charAt(at), as);
        let text: string | undefined;
        if (option.argument !== "none") {
          if (at + 1 < word.length) text = word.slice(at + 1);
          else if (takesNext(option, args[i + 1], as)) text = args[++i];
          at = word.length;
        }
        given.push({ option, text, on: true, as });
      }
    } else words.push(word);
  }
  return { given, words };
}

/** Whether a word is a number for the system call of `exec`: no option begins like that. */
function isNegative(word: string, before: readonly string[]): boolean {
  return before[0] === "exec" && /^-\d/.test(word);
}

/** Whether the option's argument is `next`, the word after it. Throws if it needs one and there is none. */
function takesNext(option: Option, next: string | undefined, as: string): boolean {
  if (option.argument === "required") {
    if (next === undefined) throw new OptionError(`option ${as} needs an argument`);
    return true;
  }
  const known = option.value.words;
  if (option.detached !== true || known === undefined || next === undefined) return false;
  return next.split(",").every((part) => known.includes(part.startsWith("^") ? part.slice(1) : part));
}

function findShort(letter: string, as: string): Option {
  for (const option of OPTIONS) if (option.short === letter) return option;
  throw new OptionError(`unknown option ${as}`);
}

/** The option of a long flag, whole or shortened, `no-` forms included. `as` is the flag for messages. */
export function findLong(name: string, as: string): { option: Option; on: boolean } {
  if (name === "") throw new OptionError(`unknown option ${as}`);
  const found: { name: string; option: Option; on: boolean }[] = [];
  for (const option of OPTIONS) {
    if (option.long === name) return { option, on: true };
    if (option.negatable === true && `no-${option.long}` === name) return { option, on: false };
    if (option.long.startsWith(name)) found.push({ name: option.long, option, on: true });
    if (option.negatable === true && `no-${option.long}`.startsWith(name)) {
      found.push({ name: `no-${option.long}`, option, on: false });
    }
  }
  const [first, second] = found;
  if (first === undefined) {
    const known = OPTIONS.map(({ long }) => `--${long}`);
    throw new OptionError(`unknown option ${as}${instead(`--${name}`, known)}`);
  }
  if (second !== undefined) {
    throw new OptionError(`option ${as} could be ${found.map((each) => `--${each.name}`).join(" or ")}`);
  }
  return first;
}

/** The command among the words, and the words that belong to it. Throws OptionError. */
export function findCommand(words: readonly string[]): { command: Command; rest: readonly string[] } {
  const [first, second] = words;
  if (first === undefined) throw new OptionError("a command is needed; criu --help lists them");
  const two = `${first} ${second}`;
  for (const { name } of COMMANDS) {
    if (name === first) return { command: name, rest: words.slice(1) };
    if (name === two) return { command: name, rest: words.slice(2) };
  }
  if (first === "cpuinfo") {
    throw new OptionError(
      second === undefined ? "cpuinfo needs to be told: dump or check" : `unknown command ${two}`,
    );
  }
  const known = COMMANDS.map(({ name }) => name);
  throw new OptionError(`unknown command ${first}${instead(first, known)}`);
}

/** So many letters may be wrong, missing, too many or, as neighbours, in each other's place. */
const MOST_SLIPS = 2;

/** What was meant, most likely, in words; empty where nothing is near. */
function instead(word: string, known: readonly string[]): string {
  const [best] = known
    .map((each) => ({ each, slips: slipsBetween(word, each) }))
    .filter(({ each, slips }) => slips <= MOST_SLIPS && slips < each.replace(/^--/, "").length / 2)
    .sort((a, b) => a.slips - b.slips);
  return best === undefined ? "" : `; is ${best.each} meant?`;
}

/** How many slips make one word of another (optimal string alignment). */
function slipsBetween(one: string, other: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: other.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const differs = one[i - 1] === other[j - 1] ? 0 : 1;
      let slips = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + differs);
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1])
        slips = Math.min(slips, (before[j - 2] ?? 0) + 1);
      row.push(slips);
    }
    [before, last] = [last, row];
  }
  return last[other.length] ?? 0;
}
