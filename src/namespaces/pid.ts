/**
 * PID namespaces: what there is of them are the numbers of tasks (process/identity.ts, tracee/build/spawn.ts). One without its init in
 * the tree can only be external (pidns-ID.img): a tree is restored into one that is there.
 */
import type { ImageDir } from "../images/image-dir.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import { NEW } from "../linux/clone.ts";
import type { Options } from "../options.ts";
import { UnsupportedError } from "../process/errors.ts";
import { externalName, inheritedNamespace } from "./external.ts";
import type { FoundNamespace, NamespaceDumpContext, NamespaceKind } from "./namespace.ts";

const INIT = 1;

export const pid: NamespaceKind = {
  name: "pid",
  flag: NEW.PID,
  field: "pid_ns_id",
  own: 1,
  nests: true,
  dump: (found, context) => {
    for (const each of found) dumpPid(each, context);
  },
  dumpOwn: (inode, { images, options }) => {
    const name = externalName(options, "pid", inode);
    if (name !== undefined) images.writeAll(IMAGES.pidns, [{ ext_key: name }], pid.own);
  },
};

function dumpPid({ id, inode, pid: first, isRoot }: FoundNamespace, context: NamespaceDumpContext): void {
  const { images, options, tasks } = context;
  const name = externalName(options, "pid", inode);
  if (name !== undefined) images.writeAll(IMAGES.pidns, [{ ext_key: name }], id);
  else if (isRoot && first !== undefined && tasks.numberOf(first) !== INIT) {
    throw new UnsupportedError(
      `it is not the init of its pid namespace, without which that cannot be dumped; --external pid[${inode}]:NAME has a restore be given one`,
      { process: first },
    );
  }
}

/** Our descriptor, lent, of the pid namespace that is to be joined instead of number `id`; undefined for none. @throws ImageValueError */
export function joinedPids(images: ImageDir, options: Options, id: number): number | undefined {
  const name = images.tryReadOne(IMAGES.pidns, id)?.ext_key;
  return name === undefined ? undefined : inheritedNamespace(options, name, fileName(IMAGES.pidns, id));
}
