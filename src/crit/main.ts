/** The command `crit`: CRIU's image tool, word for word, and `crit report`. Gives the exit code. */
import { ImageError } from "../images/error.ts";
import { ERRNO, isErrno, KernelError } from "../linux/errno.ts";
import { writeAll } from "../linux/io.ts";
import { textToBytes } from "../linux/text.ts";
import { CRIU_VERSION } from "../version.ts";
import { type Command, parseWords, UsageError, usageText } from "./command-line.ts";
import { CritError } from "./error.ts";
import { Output } from "./output.ts";

const STDERR = 2;
/** argparse's, which scripts know. */
const USAGE_CODE = 2;

export async function crit(words: readonly string[]): Promise<number> {
  try {
    const command = parseWords(words);
    await execute(command);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      complain(`${error.usage}crit: error: ${error.message}\n`);
      return words.length === 0 ? 1 : USAGE_CODE;
    }
    // Whoever reads us has seen enough.
    if (isErrno(error, ERRNO.EPIPE)) return 1;
    const isKnown = error instanceof CritError || error instanceof ImageError || error instanceof KernelError;
    complain(
      `crit: error: ${isKnown || !(error instanceof Error) ? message(error) : (error.stack ?? error.message)}\n`,
    );
    return 1;
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function complain(text: string): void {
  writeAll(STDERR, textToBytes(text));
}

async function execute(command: Command): Promise<void> {
  switch (command.name) {
    case "help":
      return print([usageText(command.of, true).trimEnd()]);
    case "version":
      return print([CRIU_VERSION]);
    case "decode": {
      const { decode } = await import("./decode.ts");
      const unknown = decode(command);
      if (unknown > 0) {
        complain(
          `crit: ${command.in ?? "standard input"}: fields that are not known here are left out: ${unknown}\n`,
        );
      }
      return;
    }
    case "encode":
      return (await import("./encode.ts")).encode(command);
    case "info":
      return (await import("./decode.ts")).info(command.in);
    case "report":
      return (await import("./report/page.ts")).report(command);
    case "x": {
      const { ImageDir } = await import("../images/image-dir.ts");
      const { EXPLORERS } = await import("./explore.ts");
      return print(EXPLORERS[command.what]?.(ImageDir.open(command.dir)) ?? []);
    }
  }
}

function print(lines: Iterable<string>): void {
  using out = Output.to(undefined);
  for (const line of lines) out.bytes(textToBytes(`${line}\n`));
  out.finish();
}
