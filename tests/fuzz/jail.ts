/**
 * A place where a mutant harms nobody: a worker in a mount, pid, IPC and network namespace of its own, where all file systems are
 * read-only but a small tmpfs, and a copy of each fixture's files in it stands over the files themselves.
 */

import { join } from "node:path";
import { projectDir } from "../harness/build.ts";
import { linesOf } from "../harness/lines.ts";

/** Which mutant a worker is to restore. */
export interface Order {
  /** The images as they were dumped. */
  base: string;
  /** The fixture's own files. */
  stateDir: string;
  seed: number;
  /** By the executable, rather than inside the worker. */
  outside: boolean;
}

export interface Answer {
  /** Only the first two are as they should be. */
  outcome: "restored" | "refused" | "unclear" | "leftover" | "hang" | "crash";
  /** The error, and what is wrong with it. */
  text: string;
  story: string[];
  ms: number;
  /** How many more descriptors the worker has open than before. */
  descriptors: number;
}

// $1 is the scratch, $2 how many directories follow, then they, then the worker's command.
const setup = `
set -e
mount --make-rprivate /
scratch=$1; count=$2; shift 2
mount -t tmpfs -o size=1g,mode=777 fuzz "$scratch"
mkdir "$scratch/files" "$scratch/copies" "$scratch/work"
for at in $(seq "$count"); do
  dir=$1; shift
  name=$(echo "$dir" | tr / _)
  cp -a "$dir" "$scratch/files/$name"
  cp -a "$dir" "$scratch/copies/$name"
  set -- "$@" "$dir"
done
# The directories now stand behind the command; they are bound last, above what is read-only.
cut -d ' ' -f 2 /proc/self/mounts | sort -u | while read -r point; do
  case "$point" in
    /proc|"$scratch") ;;
    *) mount -o remount,bind,ro "$point" 2>/dev/null || true ;;
  esac
done
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
[ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger
if touch "$scratch/../fuzz-probe" 2>/dev/null; then echo "file systems do not become read-only" >&2; exit 1; fi
total=$#
first=$((total - count + 1))
at=0
for dir in "$@"; do
  at=$((at + 1))
  if [ $at -ge $first ]; then mount --bind "$scratch/files/$(echo "$dir" | tr / _)" "$dir"; fi
done
keep=$((total - count))
# Only the command stays.
command=""
at=0
for word in "$@"; do
  at=$((at + 1))
  if [ $at -le $keep ]; then command="$command '$word'"; fi
done
echo 900 > /proc/self/oom_score_adj || true
eval "exec $command"
`;

const namespaces = ["unshare", "-m", "-p", "-i", "-n", "-f", "--mount-proc", "--kill-child", "--"];

/** Why there can be no jail here, or undefined. */
export function jailMissing(): string | undefined {
  const { exitCode, stderr } = Bun.spawnSync([...namespaces, "sh", "-c", "mount --make-rprivate /"]);
  return exitCode === 0 ? undefined : `unshare: ${stderr.toString().trim()}`;
}

/** One worker, started anew whenever it ends. */
export class Jail {
  #child: ReturnType<Jail["start"]> | undefined;
  #lines: AsyncGenerator<string> | undefined;

  /** `scratch` is an empty directory for the tmpfs, `stateDirs` are to be there inside as copies. */
  constructor(
    private readonly scratch: string,
    private readonly stateDirs: readonly string[],
    private readonly tool: readonly string[],
  ) {}

  private start() {
    const { scratch, stateDirs } = this;
    const worker = [process.execPath, join(projectDir, "tests/fuzz/worker.ts"), join(scratch, "work")];
    return Bun.spawn(
      [
        ...[...namespaces, "sh", "-c", setup, "jail", scratch, String(stateDirs.length), ...stateDirs],
        ...[...worker, join(scratch, "copies"), ...this.tool],
      ],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit", cwd: "/" },
    );
  }

  /** Has a mutant restored. A worker that does not answer in time is killed, with all that is in its namespace. */
  async order(order: Order, timeoutMs: number): Promise<Answer> {
    const child = this.#child ?? this.start();
    this.#child = child;
    this.#lines ??= linesOf(child.stdout);
    child.stdin.write(`${JSON.stringify(order)}\n`);
    await child.stdin.flush();
    let late = false;
    const alarm = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) break;
      if (!value.startsWith("@")) continue;
      clearTimeout(alarm);
      return JSON.parse(value.slice(1));
    }
    clearTimeout(alarm);
    await child.exited;
    this.#child = undefined;
    this.#lines = undefined;
    const text = late
      ? `no answer after ${timeoutMs} ms`
      : `the worker ended: ${child.exitCode ?? child.signalCode}`;
    return { outcome: late ? "hang" : "crash", text, story: [], ms: timeoutMs, descriptors: 0 };
  }

  async close(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }
}
