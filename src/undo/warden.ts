/**
 * The warden: a process that does for us what is left to do when we are killed. It has our memory and our descriptors, waits
 * for our end at a pidfd of us, works through a table then, and ends. It executes the runner (machine/) and nothing else, on no
 * stack, with all signals blocked; it is in a session of its own, so that whoever kills our process group does not kill it; its
 * parent, we or whoever gets our children, is told nothing at its end, and no wait but one for it alone finds it.
 *
 * A pidfd tells of our end when all threads of ours have gone (pidfd_open(2)): all tasks that were held by us have been
 * let go by then, or killed, and none of ours writes to the list any more.
 *
 * What kills the warden together with us leaves everything as it is: a kill of the whole control group, the kernel when it runs
 * out of memory (it kills all who share it), and, before Linux 5.16, a core dump of ours.
 */

import { CLONE, cloneArgs, spawnMasked } from "../linux/clone.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { Fd } from "../linux/fd.ts";
import { kill } from "../linux/kill.ts";
import { NR } from "../linux/nr.ts";
import { ourPid } from "../linux/ourselves.ts";
import { TableLayout } from "../linux/own-table.ts";
import { type HostPid, hostPid } from "../linux/pid.ts";
import { POLL, pollfd } from "../linux/poll.ts";
import { PR } from "../linux/prctl.ts";
import { WAIT } from "../linux/ptrace.ts";
import { SIG } from "../linux/signal.ts";
import { checkResult, cString, rawSyscall } from "../linux/syscall.ts";
import { ENTRY_SIZE, OP } from "../machine/runner.ts";
import { ALWAYS } from "./memory.ts";

const FUTEX = { WAIT: 0, WAKE: 1 } as const;
const STEPS = {
  SESSION: 0,
  NAME: 1,
  READY: 2,
  WAKE: 3,
  POLL: 4,
  GIVE_UP: 5,
  GO: 6,
  EXIT: 7,
  COUNT: 8,
} as const;
const WORDS_AT = STEPS.COUNT * ENTRY_SIZE;
/** Words behind the table: 1 until it is ready; 0; where the last entry of the table stands; the pollfd; its name. */
const WORD = {
  STARTING: WORDS_AT,
  ZERO: WORDS_AT + 8,
  EXIT: WORDS_AT + 16,
  POLL: WORDS_AT + 24,
  NAME: WORDS_AT + 32,
};
const NAME_SIZE = 16;
/** So many others are born if one gets an id that is needed. */
const TRIES = 64;

export class Warden {
  readonly #table = new TableLayout(WORD.NAME + NAME_SIZE);
  readonly #us = Fd.ofProcess(ourPid());
  readonly #pid: HostPid;

  /**
   * Starts one, which when we are dead continues with the table whose address stands in the word at address `next`, and ends
   * where that leads to the table at `exit`; before it starts `prepare` is told of the latter. It gets no id that is among
   * `avoid`. @throws KernelError
   */
  constructor(next: number, avoid: ReadonlySet<HostPid>, prepare: (exit: number) => void) {
    this.#lay(next);
    prepare(this.exit);
    try {
      this.#pid = this.#bear(avoid);
    } catch (error) {
      this.#us.close();
      throw error;
    }
    this.#awaitReady();
  }

  /** Address of the table by which it ends. */
  get exit(): number {
    return this.#table.address + STEPS.EXIT * ENTRY_SIZE;
  }

  /** Its process id. */
  get pid(): number {
    return this.#pid;
  }

  /** Ends it: nothing is to be done when we die. Never throws. */
  end(): void {
    endChild(this.#pid);
    this.#us.close();
  }

  #lay(next: number): void {
    const table = this.#table;
    const at = (word: number) => table.address + word;
    table.setWord(WORD.EXIT, this.exit);
    const fd = this.#us.number;
    table.bytes.set(pollfd.encode({ fd, events: POLL.IN }), WORD.POLL);
    table.bytes.set(cString("warden"), WORD.NAME);
    table.entry(STEPS.SESSION, NR.setsid);
    table.entry(STEPS.NAME, NR.prctl, PR.SET_NAME, at(WORD.NAME));
    table.entry(STEPS.READY, OP.MOVE, at(WORD.ZERO), at(WORD.STARTING));
    table.entry(STEPS.WAKE, NR.futex, at(WORD.STARTING), FUTEX.WAKE, 1);
    table.entry(STEPS.POLL, NR.ppoll, at(WORD.POLL), 1, 0, 0, 0);
    // It must not do anything while we may be alive. A pidfd of a process that has been reaped hangs up as well (Linux 6.9).
    const ended = (revents: number) => fd + POLL.IN * 2 ** 32 + revents * 2 ** 48;
    table.entry(
      STEPS.GIVE_UP,
      OP.JUMP,
      at(WORD.EXIT),
      at(WORD.POLL),
      ended(POLL.IN),
      ended(POLL.IN | POLL.HUP),
    );
    table.entry(STEPS.GO, OP.JUMP, next, next, ...ALWAYS);
    table.entry(STEPS.EXIT, NR.exit_group, 0);
  }

  #bear(avoid: ReadonlySet<HostPid>): HostPid {
    const args = cloneArgs.encode({
      flags: CLONE.VM | CLONE.FILES | CLONE.UNTRACED | CLONE.CHILD_CLEARTID,
      // Should it be killed before it is ready, we do not wait for ever.
      child_tid: this.#table.address + WORD.STARTING,
    });
    for (let attempt = 0; attempt < TRIES; attempt++) {
      this.#table.setWord(WORD.STARTING, 1);
      const born = spawnMasked(args, this.#table.address);
      const pid = hostPid(
        checkResult(born, NR.clone3, "of the process that undoes what we did if we are killed"),
      );
      if (!avoid.has(pid)) return pid;
      // The kernel gives the next one a higher id.
      endChild(pid);
    }
    throw new KernelError("clone3", `with an id that is none of the tree's, ${TRIES} times`, ERRNO.EEXIST);
  }

  #awaitReady(): void {
    const { words, address } = this.#table;
    while (words[WORD.STARTING / 4] !== 0)
      rawSyscall(NR.futex, address + WORD.STARTING, FUTEX.WAIT, 1, 0, 0, 0);
  }
}

function endChild(pid: HostPid): void {
  kill(pid, SIG.KILL);
  rawSyscall(NR.wait4, pid, 0, WAIT.ALL, 0);
}
