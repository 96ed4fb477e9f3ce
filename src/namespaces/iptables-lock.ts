/**
 * The network lock by iptables: a rule for each direction of each connection in the table `filter`. The programs do it.
 *
 * If we are killed the rules have to go as well: a shell is started beforehand that takes them away unless it hears that they are
 * to stay, also if it never hears anything.
 */
import { Fd } from "../linux/fd.ts";
import { lseek, O, SEEK, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { awaitProgram, endOf, start } from "../linux/program.ts";
import { s32, struct } from "../linux/struct.ts";
import { addressOf, cString, syscall } from "../linux/syscall.ts";
import { textToBytes } from "../linux/text.ts";
import { log } from "../log.ts";
import { call, type UndoStep } from "../undo/calls.ts";
import { type Connection, isV4, LOCK_MARK, type NetworkLock, reversed } from "./network-lock.ts";

/** A lock that could not be put or taken away. */
export class LockError extends Error {
  override readonly name = "LockError";
}

const PROGRAM = { V4: "iptables-restore", V6: "ip6tables-restore" } as const;
/** It waits for others that use the tables, and leaves the rules that are there. */
const WORDS = ["-w", "--noflush"];
const STAY = "stay";

function hostText(host: Uint8Array): string {
  if (host.length === 4) return host.join(".");
  const view = new DataView(host.buffer, host.byteOffset, host.length);
  return Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i).toString(16)).join(":");
}

/** What comes after -I or -D, for both directions. */
function rulesOf(connection: Connection): string[] {
  const length = isV4(connection) ? 4 : 16;
  const rule = (chain: string, { source, sourcePort, destination, destinationPort }: Connection) =>
    [
      `${chain} --protocol tcp -m mark ! --mark 0x${LOCK_MARK.toString(16)}`,
      `--source ${hostText(source.subarray(-length))} --sport ${sourcePort}`,
      `--destination ${hostText(destination.subarray(-length))} --dport ${destinationPort} -j DROP`,
    ].join(" ");
  return [rule("INPUT", reversed(connection)), rule("OUTPUT", connection)];
}

function script(command: "-I" | "-D", connections: readonly Connection[]): string {
  const lines = connections.flatMap(rulesOf).map((rule) => `${command} ${rule}`);
  return ["*filter", ...new Set(lines), "COMMIT", ""].join("\n");
}

/** A file without a name that holds a text, to be read from its beginning. */
function fileOf(text: string): Fd {
  const fd = Fd.own(syscall("of a text", NR.memfd_create, addressOf(cString("rules")), 1));
  writeAll(fd.number, textToBytes(text));
  lseek(fd.number, 0, SEEK.SET);
  return fd;
}

/** How the program ended, in words; undefined where it did what it was told. @throws KernelError where there is none */
function failureOf(program: string, rules: string): string | undefined {
  using input = fileOf(rules);
  const pid = start({ path: program, words: [program, ...WORDS], descriptors: new Map([[0, input.number]]) });
  const status = awaitProgram(pid);
  return status.kind === "exited" && status.code === 0 ? undefined : `${program} ${endOf(status)}`;
}

const ends = struct({ read: s32, write: s32 });

function pipe(): { read: Fd; write: Fd } {
  const buffer = new Uint8Array(ends.size);
  syscall("", NR.pipe2, addressOf(buffer), O.CLOEXEC);
  const { read, write } = ends.decode(buffer);
  return { read: Fd.own(read), write: Fd.own(write) };
}

interface Family {
  readonly program: string;
  readonly connections: readonly Connection[];
}

function families(connections: readonly Connection[]): Family[] {
  const all = [
    { program: PROGRAM.V4, connections: connections.filter(isV4) },
    { program: PROGRAM.V6, connections: connections.filter((each) => !isV4(each)) },
  ];
  return all.filter((family) => family.connections.length > 0);
}

/** Waits for a word, then does away with the rules of descriptors 3 and 4, unless the word is `stay`. */
const SHELL = [
  "read -r word",
  `[ "$word" = ${STAY} ] && exit 0`,
  `[ -e /proc/self/fd/3 ] && ${PROGRAM.V4} ${WORDS.join(" ")} <&3`,
  `[ -e /proc/self/fd/4 ] && ${PROGRAM.V6} ${WORDS.join(" ")} <&4`,
].join("\n");

export class IptablesLock implements NetworkLock {
  #families: readonly Family[] = [];
  #guard: { readonly pid: HostPid; readonly word: Fd } | undefined;

  prepare(connections: readonly Connection[]): void {
    this.#families = families(connections);
    const { read, write } = pipe();
    const files = this.#families.map(({ program, connections: of }) => ({
      program,
      fd: fileOf(script("-D", of)),
    }));
    try {
      const descriptors = new Map([[0, read.number]]);
      for (const { program, fd } of files) descriptors.set(program === PROGRAM.V4 ? 3 : 4, fd.number);
      const pid = start({ path: "/bin/sh", words: ["sh", "-c", SHELL], descriptors, closeOthers: true });
      this.#guard = { pid, word: write };
    } finally {
      read.close();
      for (const { fd } of files) fd.close();
    }
  }

  #saying(word: string): UndoStep[] {
    if (this.#guard === undefined) return [];
    return [call(NR.write, this.#guard.word.number, textToBytes(`${word}\n`), word.length + 1)];
  }

  get undoing(): readonly UndoStep[] {
    return this.#saying("undo");
  }

  lock(): void {
    for (const { program, connections } of this.#families) {
      const failure = failureOf(program, script("-I", connections));
      if (failure !== undefined)
        throw new LockError(`network lock: ${failure}: consider --network-lock nftables`);
    }
  }

  get staying(): readonly UndoStep[] {
    return this.#saying(STAY);
  }

  [Symbol.dispose](): void {
    const guard = this.#guard;
    this.#guard = undefined;
    if (guard === undefined) return;
    guard.word.close();
    awaitProgram(guard.pid);
  }
}

/** Takes away the rules of connections, as far as they are there. Never throws. */
export function unlockIptables(connections: readonly Connection[]): void {
  const run = (program: string, of: readonly Connection[]): string | undefined => {
    try {
      return failureOf(program, script("-D", of));
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  for (const { program, connections: of } of families(connections)) {
    // All together, or, where some rule is missing, each alone.
    if (run(program, of) === undefined) continue;
    for (const connection of of) {
      const failure = run(program, [connection]);
      if (failure !== undefined) log.debug("network-lock", `no rule was taken away: ${failure}`);
    }
  }
}
