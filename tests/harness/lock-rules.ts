/** What network locks leave in the firewall of our network namespace. */
import { ImageDir } from "../../src/images/image-dir.ts";
import { IMAGES } from "../../src/images/kinds.ts";
import { NETLINK, Netlink } from "../../src/linux/netlink.ts";
import { listTables } from "../../src/linux/nftables.ts";
import { OUR_NETWORK } from "../../src/namespaces/net/network.ts";
import { unlockNftables } from "../../src/namespaces/nftables-lock.ts";
import { patience } from "./patience.ts";

/** A lock by iptables can be put here. */
export function hasIptables(): boolean {
  return Bun.which("iptables-restore") !== null && Bun.which("iptables-save") !== null;
}

/** Tables and rules of locks, ours and CRIU's, by whatever method. `others` are passed over. */
export function lockRules(others: readonly string[] = []): string[] {
  using netlink = Netlink.open(NETLINK.NETFILTER);
  const tables = listTables(netlink).map(({ family, name }) => `table ${family} ${name}`);
  const saved = ["iptables-save", "ip6tables-save"].flatMap((command) =>
    Bun.which(command) === null ? [] : Bun.spawnSync([command]).stdout.toString().split("\n"),
  );
  return [...tables, ...saved].filter((line) => /CRIU|0xc114/.test(line) && !others.includes(line));
}

/** The rules that are left when whoever takes them away has had time for it. */
export async function lockRulesLeft(others: readonly string[] = []): Promise<string[]> {
  const end = Date.now() + patience(3000);
  for (;;) {
    const left = lockRules(others);
    if (left.length === 0 || Date.now() > end) return left;
    await Bun.sleep(10);
  }
}

/** Takes the lock of a dump away that nobody restores. */
export function unlock(imagesDir: string): void {
  const { dump_criu_run_id: id } = ImageDir.open(imagesDir).readOne(IMAGES.inventory);
  if (id !== undefined) unlockNftables(id, OUR_NETWORK);
}
