// The table of all image files: name, magic, message, and what follows the messages.

import type { NotHostPid } from "../linux/pid.ts";
import { type AnyImageKind, idOf, type RawKind } from "./kind.ts";
import * as IMAGES from "./kinds-of-messages.ts";

export {
  type AnyImageKind,
  IMG_COMMON_MAGIC,
  IMG_SERVICE_MAGIC,
  IMG_VERSION,
  type ImageId,
  type ImageKind,
  type Look,
  type RawKind,
} from "./kind.ts";
/** Every image file of messages. */
export { IMAGES };

function raw(name: string, file: string): RawKind {
  return { name, file, id: idOf(file) };
}

/** Every image file that holds something else, as it comes: pages, and what ip, iptables-save or tar wrote. */
export const RAW_IMAGES = {
  pages: raw("PAGES", "pages-*.img"),
  ifaddr: raw("IFADDR", "ifaddr-*.img"),
  route: raw("ROUTE", "route-*.img"),
  route6: raw("ROUTE6", "route6-*.img"),
  rule: raw("RULE", "rule-*.img"),
  iptables: raw("IPTABLES", "iptables-*.img"),
  ip6tables: raw("IP6TABLES", "ip6tables-*.img"),
  nftables: raw("NFTABLES", "nftables-*.img"),
  netns_ct: raw("NETNF_CT", "netns-ct-*.img"),
  netns_exp: raw("NETNF_EXP", "netns-exp-*.img"),
  tmpfs: raw("TMPFS_IMG", "tmpfs-*.tar.gz.img"),
  tmpfs_dev: raw("TMPFS_DEV", "tmpfs-dev-*.tar.gz.img"),
} as const;

/** The kind that a file with this magic holds (the one that is written now, where two share a magic). */
export function kindOfMagic(magic: number): AnyImageKind | undefined {
  return Object.values<AnyImageKind>(IMAGES).find((candidate) => candidate.magic === magic);
}

/** A file's name, e.g. `fileName(IMAGES.core, 12)` is "core-12.img". */
export function fileName(kind: AnyImageKind | RawKind, id?: NotHostPid | bigint | string): string {
  if (kind.id === "none") return kind.file;
  if (id === undefined) throw new TypeError(`${kind.file} needs an id`);
  const star = kind.file.indexOf("*");
  const text = kind.id === "hex" ? id.toString(16) : id.toString();
  return kind.file.slice(0, star) + text + kind.file.slice(star + 1);
}

/** What a file is, by its name: the kind, and what stands in the place of `*`; undefined for no image. */
export function kindOfFile(
  name: string,
): { kind: AnyImageKind | RawKind; id: number | string | undefined } | undefined {
  // The first one that fits is meant: what is written now comes before what was.
  for (const kind of [...Object.values<AnyImageKind>(IMAGES), ...Object.values<RawKind>(RAW_IMAGES)]) {
    const [before = "", behind] = kind.file.split("*");
    if (behind === undefined) {
      if (name === kind.file) return { kind, id: undefined };
      continue;
    }
    if (!name.startsWith(before) || !name.endsWith(behind)) continue;
    const id = name.slice(before.length, name.length - behind.length);
    if (kind.id === "word" && id !== "") return { kind, id };
    if (kind.id === "hex" && /^[0-9a-f]+$/.test(id)) return { kind, id: Number.parseInt(id, 16) };
    if (kind.id === "decimal" && /^\d+$/.test(id)) return { kind, id: Number(id) };
  }
  return undefined;
}

/** Whether a kind's files are made of messages. */
export function hasMessages(kind: AnyImageKind | RawKind): kind is AnyImageKind {
  return "codec" in kind;
}
