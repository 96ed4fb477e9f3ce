/**
 * Network namespaces. One that is external (--external net[INODE]:NAME) is not saved: a restore is given another by
 * --inherit-fd fd[N]:NAME. With --empty-ns net one is made anew and left empty, for somebody else to fill.
 */
import { IMAGES } from "../images/kinds.ts";
import type { NetnsEntry } from "../images/schema/generated/namespaces.ts";
import { NEW } from "../linux/clone.ts";
import { NR } from "../linux/nr.ts";
import { parseInheritFd } from "../options.ts";
import { ImageValueError, UnsupportedError } from "../process/errors.ts";
import type { NamespaceKind } from "./namespace.ts";

export const net: NamespaceKind = {
  name: "net",
  flag: NEW.NET,
  field: "net_ns_id",
  own: 2,

  dump(found, { images, options }) {
    for (const { id, inode, pid } of found) {
      const key = externalKey(options.external, inode);
      if (key === undefined && !options.emptyNs.includes("net")) {
        throw new UnsupportedError(
          `process ${pid}: lives in a net namespace of its own: --empty-ns net saves nothing of it, --external net[${inode}]:NAME has a restore be given one`,
        );
      }
      const entry: NetnsEntry = {
        def_conf: [],
        all_conf: [],
        def_conf4: [],
        all_conf4: [],
        def_conf6: [],
        all_conf6: [],
        nsids: [],
        unix_conf: [],
        ipv4_sysctl: [],
      };
      images.writeAll(IMAGES.netns, [key === undefined ? entry : { ...entry, ext_key: key }], id);
    }
  },

  fill({ id }, first, { images, options }) {
    const key = images.tryReadOne(IMAGES.netns, id)?.ext_key;
    if (key === undefined) return;
    const given = options.inheritFd.map(parseInheritFd).find((each) => each.key === key);
    if (given === undefined)
      throw new ImageValueError(
        `netns-${id}.img: an external net namespace, which --inherit-fd fd[N]:${key} is to give`,
      );
    const { table } = first;
    const inside = first.fetch(`net namespace ${key}`, given.fd);
    table.must(`net namespace ${key}`, NR.setns, inside, NEW.NET);
    table.must(`net namespace ${key}`, NR.close, inside);
    table.run();
  },
};

/** What `--external net[INODE]:NAME` calls a namespace. */
function externalKey(external: readonly string[], inode: number): string | undefined {
  const start = `net[${inode}]:`;
  return external.find((entry) => entry.startsWith(start))?.slice(start.length);
}
