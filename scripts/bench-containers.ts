/**
 * Containers for the bench: what `runc checkpoint`, `podman container checkpoint` and their restores take as whole commands, with us or
 * the peer as the `criu` that the engine finds.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { countOf, lacking, Scratch } from "../tests/containers/bundle.ts";
import { Podman } from "../tests/containers/podman.ts";
import { RuncContainer } from "../tests/containers/runc.ts";

/** What one command took. */
export interface Measured {
  milliseconds: number;
  cpuMilliseconds: number;
  peakMiB: number;
}

interface Both {
  dump: Measured;
  restore: Measured;
}

/** Who is measured: the peer, or we. */
type Name = "ours" | "peer" | "floor";

export interface ContainerBench {
  wanted(name: string): boolean;
  readonly contenders: readonly Name[];
  /** Runs a command with an environment; what it prints stands in a directory, and the log `COMMAND.log` where it wrote one. */
  measure(
    words: readonly string[],
    images: string,
    command: string,
    environment: Record<string, string>,
  ): Measured;
  /** Calls `once` for each contender in turn, several times, and takes note of what it gives. */
  rounds(title: string, once: (name: Name) => Promise<Both>): Promise<void>;
}

const WAITING = "echo 1 >> /data/count; exec sleep 100000";
const PROCESSES = 200;
const MANY = `i=2; while [ $i -lt ${PROCESSES} ]; do sleep 100000 & i=$((i+1)); done; echo 1 >> /data/count; wait`;
const MOUNTS = 50;

const ofRunc = [
  { name: "runc", title: "runc: a busybox container", script: WAITING },
  { name: "runc-processes", title: `runc: a container of ${PROCESSES} processes`, script: MANY },
];

/** @throws whatever a measurement does */
export async function benchContainers(bench: ContainerBench): Promise<void> {
  for (const { name, title, script } of ofRunc) {
    if (!bench.wanted(name)) continue;
    const why = lacking("runc");
    if (why !== "") console.log(`${title}: skipped: ${why}`);
    else
      await inScratches(bench, (scratches) =>
        bench.rounds(title, (who) => withRunc(bench, scratches(who), script)),
      );
  }
  const title = `podman: a container with ${MOUNTS} mounts`;
  if (!bench.wanted("podman-mounts")) return;
  const why = lacking("podman", "runc");
  if (why !== "") console.log(`${title}: skipped: ${why}`);
  else
    await inScratches(bench, async (scratches) => {
      const engines = new Map<Name, Podman>();
      try {
        for (const name of bench.contenders) engines.set(name, new Podman(scratches(name)));
        await bench.rounds(title, async (name) => {
          const podman = engines.get(name);
          if (podman === undefined) throw new Error(`no podman for ${name}`);
          return await withPodman(bench, podman);
        });
      } finally {
        for (const podman of engines.values()) {
          podman.end();
          podman.run("image", "rm", "--all", "--force");
        }
      }
    });
}

/** With a place for each contender, in which an engine finds it. */
async function inScratches(
  { contenders }: ContainerBench,
  use: (scratches: (name: Name) => Scratch) => Promise<void>,
): Promise<void> {
  const all = new Map<Name, Scratch>();
  try {
    for (const name of contenders) all.set(name, new Scratch(name === "peer"));
    await use((name) => {
      const scratch = all.get(name);
      if (scratch === undefined) throw new Error(`no place for ${name}`);
      return scratch;
    });
  } finally {
    for (const scratch of all.values()) scratch.remove();
  }
}

let containers = 0;

async function withRunc(bench: ContainerBench, scratch: Scratch, script: string): Promise<Both> {
  const id = `criu-ts-bench-${process.pid}-${containers++}`;
  const container = new RuncContainer(scratch, id, (spec) => {
    spec.process.args = ["sh", "-c", script];
    spec.linux.namespaces.push({ type: "cgroup" });
  });
  const measure = (command: string, words: string[]) =>
    bench.measure(container.words(...words), scratch.at(`${id}-work`), command, scratch.environment);
  try {
    container.start();
    await countOf(join(container.root, "data/count"), 1);
    // Let the last of its processes fall asleep.
    await Bun.sleep(50);
    const dump = measure("dump", container.checkpointWords(1));
    const restore = measure("restore", container.restoreWords(1, "-d"));
    if (container.state()?.status !== "running") throw new Error(`${id} does not run`);
    return { dump, restore };
  } finally {
    container.end();
  }
}

async function withPodman(bench: ContainerBench, podman: Podman): Promise<Both> {
  const { scratch } = podman;
  const name = `bench-${containers++}`;
  const volumes = Array.from({ length: MOUNTS }, (_, i) => {
    const source = scratch.at(`volume-${i}`);
    mkdirSync(source, { recursive: true });
    return ["-v", `${source}:/mnt/${i}`];
  }).flat();
  const measure = (command: string, action: string) => {
    const words = podman.words("container", action, name);
    return bench.measure(words, scratch.at(`${name}-work`), command, scratch.environment);
  };
  try {
    podman.start(name, WAITING, "--network", "none", ...volumes);
    await podman.countsTo(name, 1);
    await Bun.sleep(50);
    const dump = measure("dump", "checkpoint");
    const restore = measure("restore", "restore");
    if ((await podman.countsTo(name, 1)) < 1) throw new Error(`${name} does not run`);
    return { dump, restore };
  } finally {
    podman.end();
  }
}
