/**
 * Descriptors of namespaces: files of /proc/PID/ns that were opened (nsfs). They are opened again at a process that lives in the
 * namespace.
 */
import { FdTypes, type FileEntry, type NsFileEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { NEW } from "../linux/clone.ts";
import { O, open } from "../linux/io.ts";
import { FS_MAGIC } from "../linux/statx.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import { NO_OWNER, type OpenFile } from "./open-file.ts";

/** What the kernel calls their kinds, and the flags that images have for them. */
const KINDS: ReadonlyMap<string, number> = new Map([
  ["mnt", NEW.NS],
  ["uts", NEW.UTS],
  ["ipc", NEW.IPC],
  ["pid", NEW.PID],
  ["net", NEW.NET],
  ["user", NEW.USER],
  ["time", NEW.TIME],
  ["cgroup", NEW.CGROUP],
]);

/** What a link to one says: its kind and its number. */
const LINK = /^([a-z]+):\[\d+\]$/;

export const namespaceFile: FileKind = {
  type: FdTypes.NS,
  recognises: (file) => kindIn(file.link) !== undefined && !file.isPath && file.fsMagic === FS_MAGIC.NSFS,
  dumper: (context) => new NamespaceFileDump(context),
  restorer: namespaceFileRestore,
};

/** The flag of the kind of namespace that a link leads to. */
function kindIn(link: string): number | undefined {
  return KINDS.get(LINK.exec(link)?.[1] ?? "");
}

class NamespaceFileDump implements FileDumper {
  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const { link, where, flags } = file;
    const cflag = kindIn(link) ?? 0;
    // Sockets may be in a network that no process lives in, and others not.
    const ns_id =
      cflag === NEW.NET
        ? this.context.network.namespaces.numberOf(file.copy)
        : this.context.namespaces.find(link);
    if (ns_id === undefined)
      throw new FileDumpError(`${where}: ${link} is a namespace that no process of the tree lives in`);
    const entry: NsFileEntry = { id, ns_id, ns_cflag: cflag, flags };
    this.context.add({ type: FdTypes.NS, id, nsf: entry });
  }
}

function namespaceFileRestore(context: RestoreContext): FileRestorer {
  return {
    make(entry) {
      const { ns_id, ns_cflag, flags } = namespaceOf(entry);
      const kind = [...KINDS].find(([, flag]) => flag === ns_cflag)?.[0];
      const what = `files.img: file ${entry.id}: namespace ${ns_id}`;
      if (kind === undefined) throw new FileRestoreError(`${what}: of the unknown kind ${ns_cflag}`);
      const path = kind === "net" ? context.nets.path(ns_id) : undefined;
      if (path !== undefined) return restoring(what, () => open(path, flags & ~O.CREAT));
      const pid = context.livesIn(kind, ns_id);
      if (pid === undefined) throw new FileRestoreError(`${what}: no process lives in it`);
      return restoring(what, () => open(`/proc/${pid}/ns/${kind}`, flags & ~O.CREAT));
    },

    owner: (): FownEntry => NO_OWNER,
  };
}

function namespaceOf(entry: FileEntry): NsFileEntry {
  if (entry.nsf === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no namespace`);
  return entry.nsf;
}
