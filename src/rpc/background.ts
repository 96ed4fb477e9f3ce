/** Going on in the background (`--daemon`): as another process of our program, in a session of its own. */
import { Fd } from "../linux/fd.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { ourProgram } from "../linux/ourselves.ts";
import { start } from "../linux/program.ts";
import type { Options } from "../options.ts";

/** What a process of ours is told that goes on with our work. */
export function configuration({ config, noDefaultConfig }: Options): string[] {
  return [
    ...(config === undefined ? [] : ["--config", config]),
    ...(noDefaultConfig ? ["--no-default-config"] : []),
  ];
}

/** The number by which it has our socket, as a word. */
export const INHERITED = "3";

/**
 * Starts a command by its words, which goes on with a socket of ours, as the leader of a session of its own, without a terminal.
 * Gives its pid. @throws KernelError
 */
export function startInBackground(command: readonly string[], socket: Fd, options: Options): number {
  const { path, words } = ourProgram();
  using nothing = Fd.open("/dev/null", O.RDWR);
  return start({
    path,
    words: [
      ...words,
      ...command,
      "-W",
      options.workDir ?? ".",
      ...(options.logFile === undefined ? [] : ["-o", options.logFile]),
      `-v${options.verbosity}`,
      ...configuration(options),
    ],
    descriptors: new Map([
      [0, nothing.number],
      [1, nothing.number],
      [2, nothing.number],
      [Number(INHERITED), socket.number],
    ]),
    prepare: [{ what: "a session", nr: NR.setsid, args: [] }],
  });
}
