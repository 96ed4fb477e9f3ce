/** Rules of nf_tables: nftables-ID.img, as `nft list ruleset` writes them. */
import type { ImageDir } from "../../images/image-dir.ts";
import { fileName, RAW_IMAGES } from "../../images/kinds.ts";
import { ERRNO, isErrno } from "../../linux/errno.ts";
import type { Netlink } from "../../linux/netlink.ts";
import { listTables, TABLE_FLAG, type TableFound } from "../../linux/nftables.ts";
import { UnsupportedError } from "../../process/errors.ts";
import { NetProgramError, readTextImage, runWithText, textIn, writeText } from "./programs.ts";

/** Rules that the program shows, but does not take back: those of extensions of iptables that it has no words for. */
const NO_RULE = /^\s.*\bxt (match|target|watcher) "/m;
const MISSING = "there are rules of nf_tables, and no nft to";

/** @throws NetProgramError */
function withProgram<T>(action: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (isErrno(error, ERRNO.ENOENT)) throw new NetProgramError(`${MISSING} ${action} them`);
    throw error;
  }
}

function refuse({ name, flags }: TableFound, id: number): void {
  if ((flags & TABLE_FLAG.OWNER) !== 0)
    throw new UnsupportedError(
      `net namespace ${id}: table ${name} of nf_tables belongs to a program outside of the tree, or to a socket, and cannot be dumped`,
    );
}

/** All tables but the one called `lock`, which is ours. @throws NetProgramError, UnsupportedError, KernelError, ImageError */
export function dumpNftables(
  images: ImageDir,
  id: number,
  namespace: number,
  netfilter: Netlink,
  lock: string,
): void {
  const tables = listTables(netfilter).filter(({ name }) => name !== lock);
  for (const table of tables) refuse(table, id);
  const list = () => textIn(namespace, ["nft", "list", "ruleset"]);
  const text = tables.length === 0 ? "" : withoutLock(withProgram("save", list));
  const [line] = NO_RULE.exec(text) ?? [];
  if (line !== undefined)
    throw new UnsupportedError(
      `net namespace ${id}: a rule of nf_tables that nft has no words for, and so cannot be dumped: ${line.trim()}`,
    );
  writeText(images, RAW_IMAGES.nftables, id, text);
}

/**
 * The text without a lock that was put before the rules were saved: a table of its own, or, by iptables, a chain and jumps to it.
 * It begins the lines of tables with a word, those of what is in them with a tab, and so on.
 */
function withoutLock(text: string): string {
  const kept: string[] = [];
  /** The line that ends what is left out. */
  let until: string | undefined;
  for (const line of text.split("\n")) {
    if (until !== undefined) {
      if (line === until) until = undefined;
    } else if (LOCK_TABLE.test(line)) until = "}";
    else if (line === "\tchain CRIU {") until = "\t}";
    else if (!LOCK_JUMP.test(line)) kept.push(line);
  }
  return kept.join("\n");
}

const LOCK_TABLE = /^table inet CRIU-\S+ \{/;
const LOCK_JUMP = /^\t\t(counter packets \d+ bytes \d+ )?jump CRIU$/;

/** @throws NetProgramError, KernelError, ImageError */
export function restoreNftables(images: ImageDir, id: number, namespace: number): void {
  const text = withoutLock(readTextImage(images, RAW_IMAGES.nftables, id));
  if (text.trim() === "") return;
  const file = fileName(RAW_IMAGES.nftables, id);
  withProgram("restore", () => runWithText(namespace, ["nft", "-f", "-"], text, file));
}
