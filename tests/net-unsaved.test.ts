/** What a network namespace may have and nobody saves is refused by name, and the tree runs on. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adoptOrphans, childrenOf, killAll, processState, readText } from "./harness/processes.ts";
import { dump } from "./harness/tool.ts";

adoptOrphans();
const started = new Set<number>();
const dirs: string[] = [];

afterAll(async () => {
  await killAll(started);
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

/** Commands in a new namespace; what the dump says of it. Where a command fails this machine does not know it. */
const CASES: readonly (readonly [commands: string, refusal: string])[] = [
  [
    "ip link add one type veth peer two; tc qdisc add dev one root tbf rate 1mbit burst 10k latency 1s",
    "tbf of network device one",
  ],
  ["ip link add one type veth peer two; tc qdisc add dev one ingress", "ingress of network device one"],
  ["tc actions add action mirred egress redirect dev lo", "action mirred"],
  [
    "ip link add br0 type bridge mcast_snooping 1; ip link add one type veth peer two; ip link set one master br0 up; ip link set two up; ip link set br0 up; bridge mdb add dev br0 port one grp 239.1.1.1 permanent",
    "a multicast group of a bridge",
  ],
  ["ip addrlabel add prefix 2001:db8::/32 label 99", "labels of IPv6 addresses"],
  [
    "ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 mode tunnel enc 'cipher_null' ''",
    "a state of IPsec",
  ],
  ["ip xfrm policy add src 10.0.0.0/24 dst 10.1.0.0/24 dir out action block", "a policy of IPsec (XFRM),"],
  ["ip xfrm policy setdefault in block", "a policy of IPsec (XFRM) for all else"],
  ["ip mptcp endpoint add 127.0.0.2 signal", "an endpoint of MPTCP"],
  ["ip mptcp limits set subflow 5", "limits of MPTCP"],
  ["ip sr hmac set 1 sha256 <<X\nsecret\nX", "a key of IPv6 segment routing"],
];

/** A process in a namespace of its own where the commands were run; undefined where one of them failed. */
async function sleeper(commands: string): Promise<number | undefined> {
  const script = `set -e\n${commands.replaceAll("; ", "\n")}\nexec setsid sleep 1000`;
  const { pid } = Bun.spawn(["unshare", "--net", "sh", "-c", script], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  started.add(pid);
  for (let look = 0; look < 2000; look++) {
    for (const each of [pid, ...childrenOf(pid)]) {
      if (readText(`/proc/${each}/comm`) !== "sleep\n" || processState(each) !== "S") continue;
      started.add(each);
      return each;
    }
    const state = processState(pid);
    if (state === undefined || state === "Z") return undefined;
    await Bun.sleep(2);
  }
  throw new Error(`${commands}: does not come to sleep`);
}

for (const [commands, refusal] of CASES)
  test(`refused: ${refusal}`, async () => {
    const pid = await sleeper(commands);
    if (pid === undefined) {
      console.log(`skipped: this machine does not take: ${commands}`);
      return;
    }
    const images = mkdtempSync(join(tmpdir(), "criu-ts-unsaved-"));
    dirs.push(images);
    const { exitCode, errors } = await dump(pid, images);
    expect(errors).toContain(refusal);
    expect(errors).toContain("which cannot be dumped; ");
    expect(exitCode).toBe(1);
    expect(processState(pid)).toBe("S");
  });
