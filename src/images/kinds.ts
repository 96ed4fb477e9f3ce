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
