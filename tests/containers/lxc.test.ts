/** `lxc-checkpoint`, with us as the only `criu` that it finds: a container saved, gone, and back, twice over. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COUNT, countOf, Elsewhere, errorsIn, groupsOf, lacking, Scratch } from "./bundle.ts";
import { networkOf, stateOf } from "./state.ts";

const why = lacking("lxc-start", "lxc-checkpoint", "unshare", "nsenter", "ip");
if (why !== "") console.log(`skipped: containers of lxc: ${why}`);
const LONG = 120_000;
const PATIENCE = 60_000;
/** Its own and that of the bridge, in a network namespace of the test. */
const [ADDRESS, GATEWAY] = ["10.77.0.2", "10.77.0.1"];

/** What lxc looks for in /sys is that of the network namespace; control groups stay those of the machine. */
const SCRIPT = `
ip link set lo up
ip link add br0 type bridge
ip addr add ${GATEWAY}/24 dev br0
ip link set br0 up
mkdir -p "$GROUPS_AT"
mount --rbind /sys/fs/cgroup "$GROUPS_AT"
mount -t sysfs none /sys
mount --rbind "$GROUPS_AT" /sys/fs/cgroup`;

const scratch = why === "" ? new Scratch(false, 4) : undefined;
let elsewhere: Elsewhere | undefined;

beforeAll(async () => {
  if (scratch === undefined) return;
  elsewhere = await Elsewhere.make(["--net", "--mount"], `GROUPS_AT=${scratch.at("groups")}\n${SCRIPT}`);
});

afterAll(async () => {
  await elsewhere?.end();
  scratch?.remove();
});

/** A container of lxc, in the namespaces of the test. */
class LxcContainer {
  readonly root: string;
  readonly #before: string[];
  readonly #scratch: Scratch;

  constructor(
    readonly name: string,
    network: readonly string[],
  ) {
    if (scratch === undefined || elsewhere === undefined) throw new Error(why);
    this.#scratch = scratch;
    this.#before = elsewhere.words("-n", "-m");
    this.root = scratch.at(name, "rootfs");
    mkdirSync(scratch.at(name));
    scratch.makeRoot(this.root);
    mkdirSync(join(this.root, "sbin"));
    writeFileSync(join(this.root, "sbin/init"), `#!/bin/sh\n${COUNT}\n`, { mode: 0o755 });
    const settings = [
      `lxc.rootfs.path = dir:${this.root}`,
      "lxc.uts.name = inside",
      "lxc.mount.auto = proc:mixed sys:ro",
      "lxc.tty.max = 0",
      "lxc.pty.max = 16",
      "lxc.console.path = none",
      ...network,
    ];
    writeFileSync(scratch.at(name, "config"), `${settings.join("\n")}\n`);
  }

  #command(program: string, ...words: string[]): string[] {
    const name = ["-P", this.#scratch.path, "-n", this.name];
    return [...this.#before, program, ...name, "-o", this.#log, ...words];
  }

  get #log(): string {
    return this.#scratch.at(`${this.name}.log`);
  }

  /** Runs a program of lxc on it, which what it starts may outlive: it gets no pipe of ours. @throws Error with what lxc and we say */
  run(program: string, ...words: string[]): void {
    const { exitCode, signalCode } = Bun.spawnSync(this.#command(program, ...words), {
      env: this.#scratch.environment,
      stdio: ["ignore", "ignore", "ignore"],
      timeout: PATIENCE,
    });
    if (exitCode === 0) return;
    const said = readFileSync(this.#log, "utf8").split("\n").slice(-4).join("\n");
    const ours = errorsIn(this.images(1), this.images(2));
    throw new Error(`${program} ${words.join(" ")}: ${signalCode ?? exitCode}: ${said}${ours}`);
  }

  #info(word: string): string {
    return Bun.spawnSync(this.#command("lxc-info", word, "-H"))
      .stdout.toString()
      .trim();
  }

  images(round: number): string {
    return this.#scratch.at(`${this.name}-images-${round}`);
  }

  get state(): string {
    return this.#info("-s");
  }

  get pid(): number {
    return Number(this.#info("-p"));
  }

  /** Ends it, whatever it does. @throws Error if control groups of it are left */
  end(): void {
    if (this.state !== "STOPPED") this.run("lxc-stop", "-k");
    const end = Date.now() + 20_000;
    while (groupsOf(this.name).length > 0 && Date.now() < end) Bun.sleepSync(20);
    const left = groupsOf(this.name);
    if (left.length > 0) throw new Error(`control groups are left: ${left.join(", ")}`);
  }

  /** Whether it answers on its network. */
  answers(): boolean {
    return Bun.spawnSync([...this.#before, "busybox", "ping", "-c", "1", "-W", "5", ADDRESS]).exitCode === 0;
  }
}

const networks: Record<string, string[]> = {
  "with an empty network": ["lxc.net.0.type = empty"],
  "with a veth at a bridge": [
    "lxc.net.0.type = veth",
    "lxc.net.0.link = br0",
    "lxc.net.0.flags = up",
    `lxc.net.0.ipv4.address = ${ADDRESS}/24`,
    `lxc.net.0.ipv4.gateway = ${GATEWAY}`,
  ],
};

describe.skipIf(why !== "")("lxc", () => {
  for (const [index, [name, network]] of Object.entries(networks).entries())
    test(
      name,
      async () => {
        const container = new LxcContainer(`criu-ts-${process.pid}-${index}`, network);
        const isBridged = network.length > 1;
        try {
          container.run("lxc-start", "-d");
          const file = join(container.root, "data/count");
          let count = await countOf(file, 3);
          const before = { state: stateOf(container.pid), network: networkOf(container.pid) };
          if (isBridged) expect(container.answers()).toBe(true);
          for (const round of [1, 2]) {
            const images = container.images(round);
            container.run("lxc-checkpoint", "-s", "-D", images);
            expect(container.state).toBe("STOPPED");
            expect(existsSync(join(images, "inventory.img"))).toBe(true);
            const saved = await countOf(file, count);
            await Bun.sleep(200);
            expect(await countOf(file, 0)).toBe(saved);
            container.run("lxc-checkpoint", "-r", "-d", "-D", images);
            expect(container.state).toBe("RUNNING");
            count = await countOf(file, saved + 1);
            expect(count).toBeLessThan(saved + 100);
            expect({ state: stateOf(container.pid), network: networkOf(container.pid) }).toEqual(before);
            if (isBridged) expect(container.answers()).toBe(true);
          }
        } finally {
          container.end();
        }
      },
      LONG,
    );
});
