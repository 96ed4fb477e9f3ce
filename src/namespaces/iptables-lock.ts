/**
 * The network lock by iptables: a rule for each direction of each connection in the table `filter`. The programs do it.
 *
 * If we are killed the rules have to go as well. A shell is started beforehand that takes them away, unless it hears that they are
 * to stay, also if it never hears anything. A restore does it the other way round: the shell takes them away when it hears so.
 */
import { BaseError } from "../linux/base-error.ts";
import { NEW } from "../linux/clone.ts";
import { Fd } from "../linux/fd.ts";
import { lseek, SEEK, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { HostPid } from "../linux/pid.ts";
import { awaitProgram, endOf, start } from "../linux/program.ts";
import { addressOf, cString, syscall } from "../linux/syscall.ts";
import { textToBytes } from "../linux/text.ts";
import { call, type UndoStep } from "../undo/calls.ts";
import type { Network } from "./net/network.ts";
import { type Connection, isV4, LOCK_MARK, type NetworkLock, reversed } from "./network-lock.ts";

/** A lock that could not be put or taken away. */
export class LockError extends BaseError {
  override readonly name = "LockError";
  readonly kind = "network";
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

/** Each once, though both ends of a connection may be among them. */
function rulesOfAll(connections: readonly Connection[]): string[] {
  return [...new Set(connections.flatMap(rulesOf))];
}

function script(command: "-I" | "-D", connections: readonly Connection[]): string {
  return ["*filter", ...rulesOfAll(connections).map((rule) => `${command} ${rule}`), "COMMIT", ""].join("\n");
}

/** As CRIU blocks a network namespace that is the tree's own: nothing passes but what has the mark. */
const BLOCK = [
  "*filter",
  ":CRIU - [0:0]",
  "-I INPUT -j CRIU",
  "-I OUTPUT -j CRIU",
  `-A CRIU -m mark --mark 0x${LOCK_MARK.toString(16)} -j ACCEPT`,
  "-A CRIU -j DROP",
  "COMMIT",
  "",
].join("\n");
const UNBLOCK = [
  "*filter",
  ":CRIU - [0:0]",
  "-D INPUT -j CRIU",
  "-D OUTPUT -j CRIU",
  "COMMIT",
  "*filter",
  ":CRIU - [0:0]",
  "-X CRIU",
  "COMMIT",
  "",
].join("\n");

/** What one of the programs is to be told. */
interface Rules {
  readonly program: string;
  readonly put: string;
  readonly take: string;
  /** Each rule, where they can be taken away alone. */
  readonly each: readonly string[];
}

function rulesFor(connections: readonly Connection[], network: Network): Rules[] {
  if (!network.isOurs)
    return [PROGRAM.V4, PROGRAM.V6].map((program) => ({ program, put: BLOCK, take: UNBLOCK, each: [] }));
  const families = [
    { program: PROGRAM.V4, of: connections.filter(isV4) },
    { program: PROGRAM.V6, of: connections.filter((each) => !isV4(each)) },
  ];
  return families.flatMap(({ program, of }) => {
    const rules = { program, put: script("-I", of), take: script("-D", of), each: rulesOfAll(of) };
    return of.length === 0 ? [] : [rules];
  });
}

/** A file without a name that holds a text, to be read from its beginning. */
function fileOf(text: string): Fd {
  const fd = Fd.own(syscall("of a text", NR.memfd_create, addressOf(cString("rules")), 1));
  writeAll(fd.number, textToBytes(text));
  lseek(fd.number, 0, SEEK.SET);
  return fd;
}

/** Descriptor of the network namespace in a program that is to work there. */
const NAMESPACE = 9;

/** Starts a program that works in a network namespace. @throws KernelError where there is none */
function startIn(
  network: Network,
  path: string,
  words: readonly string[],
  descriptors: Map<number, number>,
): HostPid {
  const program = { path, words, closeOthers: true };
  const outputs = [1, 2].filter((fd) => !descriptors.has(fd)).map((fd) => [fd, fd] as const);
  const all = new Map([...descriptors, ...outputs]);
  if (network.isOurs) return start({ ...program, descriptors: all });
  using namespace = network.open();
  all.set(NAMESPACE, namespace.number);
  const enter = { what: "the network namespace", nr: NR.setns, args: [NAMESPACE, NEW.NET] };
  return start({ ...program, descriptors: all, prepare: [enter] });
}

/** How the program ended, in words; undefined where it did what it was told. @throws KernelError where there is none */
function failureOf(program: string, rules: string, network: Network): string | undefined {
  using input = fileOf(rules);
  const pid = startIn(network, program, [program, ...WORDS], new Map([[0, input.number]]));
  const status = awaitProgram(pid);
  return status.kind === "exited" && status.code === 0 ? undefined : `${program} ${endOf(status)}`;
}

/**
 * Numbers of descriptors that the shell has: for each family, all rules as one script, and a command for each rule; and one that nobody
 * else has.
 */
const SHELL_FD = { V4: 3, V4_EACH: 4, V6: 5, V6_EACH: 6, END: 7 } as const;

/** Takes away the rules of a family all at once or, where one of them is missing, each alone. */
function removal(program: string, all: number, each: number): string {
  const words = WORDS.join(" ");
  const alone = `while read -r rule; do printf "%s\\n" "*filter" "-D $rule" COMMIT | ${program} ${words}; done <&${each}`;
  return `[ -e /proc/self/fd/${all} ] && { ${program} ${words} <&${all} || ${alone}; }`;
}

/** A shell that waits for a word; with `word` it takes rules away, with any other it ends. Without a word, as `unasked` says. */
class Remover implements Disposable {
  readonly #pid: HostPid;
  readonly #say: Fd;
  /** Reading it ends with the shell, and no sooner. */
  readonly #end: Fd;

  /** @throws KernelError */
  constructor(rules: readonly Rules[], network: Network, unasked: "removes" | "ends") {
    const [read, write] = Fd.pipe();
    const [endRead, endWrite] = Fd.pipe();
    const files: Fd[] = [read, endWrite];
    try {
      const descriptors = new Map([
        [0, read.number],
        [SHELL_FD.END, endWrite.number],
      ]);
      const give = (number: number, text: string): void => {
        const file = fileOf(text);
        files.push(file);
        descriptors.set(number, file.number);
      };
      for (const { program, take, each } of rules) {
        const v4 = program === PROGRAM.V4;
        give(v4 ? SHELL_FD.V4 : SHELL_FD.V6, take);
        give(v4 ? SHELL_FD.V4_EACH : SHELL_FD.V6_EACH, `${each.join("\n")}\n`);
      }
      const shell = [
        unasked === "ends" ? "read -r word || exit 0" : "read -r word",
        `[ "$word" = ${STAY} ] && exit 0`,
        "exec >/dev/null 2>&1",
        removal(PROGRAM.V4, SHELL_FD.V4, SHELL_FD.V4_EACH),
        removal(PROGRAM.V6, SHELL_FD.V6, SHELL_FD.V6_EACH),
      ].join("\n");
      this.#pid = startIn(network, "/bin/sh", ["sh", "-c", shell], descriptors);
      this.#say = write;
      this.#end = endRead;
    } catch (error) {
      write.close();
      endRead.close();
      throw error;
    } finally {
      for (const file of files) file.close();
    }
  }

  saying(word: string): UndoStep[] {
    return [call(NR.write, this.#say.number, textToBytes(`${word}\n`), word.length + 1)];
  }

  /** Waits until it has done what it was told. */
  get ending(): UndoStep[] {
    return [call(NR.read, this.#end.number, new Uint8Array(1), 1)];
  }

  /** Waits for its end. */
  [Symbol.dispose](): void {
    if (!this.#say.isOpen) return;
    this.#say.close();
    this.#end.close();
    awaitProgram(this.#pid);
  }
}

export class IptablesLock implements NetworkLock {
  #rules: readonly Rules[] = [];
  #remover: Remover | undefined;

  constructor(private readonly network: Network) {}

  prepare(connections: readonly Connection[]): void {
    this.#rules = rulesFor(connections, this.network);
    this.#remover = new Remover(this.#rules, this.network, "removes");
  }

  get undoing(): readonly UndoStep[] {
    return this.#remover?.saying("remove") ?? [];
  }

  lock(): void {
    for (const { program, put } of this.#rules) {
      const failure = failureOf(program, put, this.network);
      if (failure !== undefined)
        throw new LockError(`network lock: ${failure}: consider --network-lock nftables`);
    }
  }

  get staying(): readonly UndoStep[] {
    return this.#remover?.saying(STAY) ?? [];
  }

  [Symbol.dispose](): void {
    this.#remover?.[Symbol.dispose]();
  }
}

/** The end of the rules of connections, as far as they are there. */
export class IptablesUnlocking implements Disposable {
  readonly #remover: Remover;
  readonly steps: readonly UndoStep[];

  /** @throws KernelError */
  constructor(connections: readonly Connection[], network: Network) {
    this.#remover = new Remover(rulesFor(connections, network), network, "ends");
    // What follows sends packets that are to pass.
    this.steps = [...this.#remover.saying("remove"), ...this.#remover.ending];
  }

  /** Waits until it is done, if it was asked for. */
  [Symbol.dispose](): void {
    this.#remover[Symbol.dispose]();
  }
}
