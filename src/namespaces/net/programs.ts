/** Programs that know rules of netfilter as text, run in a network namespace. */

import type { ImageDir } from "../../images/image-dir.ts";
import type { RawKind } from "../../images/kinds.ts";
import { BaseError } from "../../linux/base-error.ts";
import { NEW } from "../../linux/clone.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import { Fd } from "../../linux/fd.ts";
import { lseek, O, readText, readWhole, SEEK, writeAll } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { awaitProgram, endOf, type Preparation, start, WITHOUT_RIGHTS } from "../../linux/program.ts";
import { addressOf, cString, syscall } from "../../linux/syscall.ts";
import { textOf, textToBytes } from "../../linux/text.ts";

/** A program that knows rules is not there, or has failed. */
export class NetProgramError extends BaseError {
  override readonly name = "NetProgramError";
  readonly kind = "program";
}

/** A file without a name. */
function temporary(): Fd {
  return Fd.own(syscall("of a text", NR.memfd_create, addressOf(cString("rules")), 1));
}

function wholeText(fd: number): string {
  lseek(fd, 0, SEEK.SET);
  const bytes = readWhole(fd);
  return textOf(bytes, 0, bytes.length);
}

/** Has a child enter a namespace, of which it has our descriptor. */
export function entering(namespace: number): Preparation {
  return { what: "a net namespace", nr: NR.setns, args: [namespace, NEW.NET] };
}

interface Run {
  /** The program and its arguments. */
  readonly words: readonly string[];
  /** Our descriptor of the namespace; ours, if not given. */
  readonly namespace?: number;
  /** The text that it reads. */
  readonly input?: string;
  /** What it writes to. */
  readonly output?: number;
}

/** Runs a program to its end. @throws NetProgramError, with the first line that it said of an error, or the last one */
function run({ words, namespace, input = "", output }: Run): void {
  const [path = ""] = words;
  using errors = temporary();
  using text = temporary();
  writeAll(text.number, textToBytes(input));
  lseek(text.number, 0, SEEK.SET);
  const descriptors = new Map([
    [0, text.number],
    [1, output ?? errors.number],
    [2, errors.number],
  ]);
  const prepare = namespace === undefined ? [] : [entering(namespace)];
  const pid = start({ path, words, descriptors, prepare: [...prepare, WITHOUT_RIGHTS] });
  const status = awaitProgram(pid);
  if (status.kind === "exited" && status.code === 0) return;
  const lines = wholeText(errors.number).trim().split("\n");
  const said = lines.find((line) => /error/i.test(line)) ?? lines.at(-1) ?? "";
  throw new NetProgramError(`${words.join(" ")} ${endOf(status)}${said === "" ? "" : `: ${said}`}`);
}

/** What a program says, which needs no namespace; undefined where it is not there. @throws NetProgramError, KernelError */
export function answerOf(words: readonly string[]): string | undefined {
  using output = temporary();
  try {
    run({ words, output: output.number });
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT)) return undefined;
    throw error;
  }
  return wholeText(output.number);
}

/** What a program says in a namespace. @throws NetProgramError, KernelError */
export function textIn(namespace: number, words: readonly string[]): string {
  using output = temporary();
  run({ words, namespace, output: output.number });
  return wholeText(output.number);
}

/** Writes an image that is a text; without one it is not there. @throws KernelError, ImageError */
export function writeText(images: ImageDir, kind: RawKind, id: number, text: string): void {
  images.remove(kind, id);
  if (text === "") return;
  using image = Fd.open(images.rawPath(kind, id), O.CREAT | O.EXCL | O.WRONLY, 0o600);
  writeAll(image.number, textToBytes(text));
}

/** What an image that is a text says; an empty one where it is not there. @throws KernelError */
export function readTextImage(images: ImageDir, kind: RawKind, id: number): string {
  return images.has(kind, id) ? readText(images.rawPath(kind, id)) : "";
}

/** Has a program read a text, that of image `file`, in a namespace. @throws NetProgramError, KernelError */
export function runWithText(namespace: number, words: readonly string[], text: string, file: string): void {
  try {
    run({ words, namespace, input: text });
  } catch (error) {
    if (!(error instanceof NetProgramError)) throw error;
    throw new NetProgramError(`${file}: ${error.message}`);
  }
}
