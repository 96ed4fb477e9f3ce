/**
 * A witness of a fixture's tree: takes down everything that must not change, and tells later what has.
 *
 * That is what snapshotProc() shows, the sizes of address spaces, who traces, and the fixture's own files. What it leaves
 * out are the lines of /proc/PID/status that time itself moves, or that are not the tree's:
 *
 * - `voluntary_ctxt_switches`, `nonvoluntary_ctxt_switches`: to be stopped and to go on is a switch;
 * - `VmPeak`, `VmHWM`: how large it has ever been, and our area counts while it is there;
 * - `VmRSS`, `RssAnon`, `RssFile`, `RssShmem`, `VmPTE`, `VmSwap`: what is resident, which moves with the page cache and
 *   with every page that somebody reads;
 * - `SigQ`: the pending signals of all processes of the user;
 * - `FDSize`: slots of the descriptor table, which only ever grow: a descriptor of ours may have needed one;
 * - `State`: whether it sleeps or runs at the moment. Whether it is stopped is compared.
 *
 * Of a fixture that works instead of waiting ("moves") only what work does not change is compared.
 */

import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import type { Fixture } from "./fixture.ts";
import {
  compareSnapshots,
  processTree,
  readText,
  type Snapshot,
  snapshotProc,
  threadsOf,
} from "./processes.ts";

/** Files that the tests themselves make in a fixture's directory. */
const OURS = /^(images|work|printed|go$|tiny)/;

/**
 * What stands in a directory and below: a line for each name, with mode, links, size and target. Names are bytes here.
 * `mine` tells what is left out, by the path within the directory.
 */
export function listing(dir: string, mine: RegExp = OURS): string {
  const lines: string[] = [];
  const visit = (path: Buffer, within: string) => {
    for (const name of readdirSync(path, { encoding: "buffer" })) {
      const inner = within + name.toString("latin1");
      if (mine.test(inner)) continue;
      const full = Buffer.concat([path, Buffer.from("/"), name]);
      // What a killed command has left may just be going.
      const status = lstatSync(full, { throwIfNoEntry: false });
      if (status === undefined) continue;
      const { mode, nlink, size } = status;
      const kind = mode & 0o170000;
      const link = kind === 0o120000 ? ` -> ${readlinkSync(full, "latin1")}` : "";
      lines.push(`${inner} ${mode.toString(8)} ${nlink} ${size}${link}`);
      if (kind === 0o040000) visit(full, `${inner}/`);
    }
  };
  visit(Buffer.from(dir), "");
  return lines.sort().join("\n");
}

const sizes = /^(VmSize|VmData|VmLck|VmPin|VmStk|VmExe|VmLib|HugetlbPages|TracerPid):/;
const steady =
  /^\d+\/(environ|cmdline|limits|auxv|personality|exe|cwd|root|oom_score_adj|loginuid|coredump_filter|ours)$/;

function look(fixture: Fixture): Snapshot {
  const shot = snapshotProc(fixture.pid);
  for (const pid of processTree(fixture.pid)) {
    const status = readText(`/proc/${pid}/status`) ?? "";
    const lines = (wanted: RegExp) =>
      status
        .split("\n")
        .filter((line) => wanted.test(line))
        .join("\n");
    shot.set(`${pid}/sizes`, lines(sizes));
    const maps = readText(`/proc/${pid}/maps`) ?? "";
    shot.set(
      `${pid}/ours`,
      maps
        .split("\n")
        .filter((line) => line.includes(" rwxp 00000000 00:00 0 "))
        .join("\n"),
    );
    shot.set(
      `${pid}/tracers`,
      threadsOf(pid)
        .map((tid) => readText(`/proc/${pid}/task/${tid}/status`)?.match(/^TracerPid:\t(\d+)/m)?.[1])
        .join(" "),
    );
  }
  shot.set("files", listing(fixture.stateDir));
  if (fixture.directives.moves === undefined) return shot;
  // Children of a working fixture come and go.
  const own = [...shot].filter(([name]) => steady.test(name) && name.startsWith(`${fixture.pid}/`));
  return new Map(own);
}

export class Witness {
  readonly #before: Snapshot;

  private constructor(private readonly fixture: Fixture) {
    this.#before = look(fixture);
  }

  static of(fixture: Fixture): Witness {
    return new Witness(fixture);
  }

  /** What is otherwise now than when the witness was taken; empty if nothing. */
  differences(): string[] {
    return compareSnapshots(this.#before, look(this.fixture));
  }

  /** As differences, but waits up to `timeoutMs` for there to be none. Gives the time that it took as well. */
  async settled(timeoutMs: number): Promise<{ differences: string[]; ms: number }> {
    const start = performance.now();
    for (let pause = 0.2; ; pause = Math.min(pause * 1.5, 20)) {
      const differences = this.differences();
      const ms = performance.now() - start;
      if (differences.length === 0 || ms > timeoutMs) return { differences, ms };
      await Bun.sleep(pause);
    }
  }
}
