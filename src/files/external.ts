/** Files that no kind knows, of which a plugin makes what it likes: the image holds no more than that there is one. */
import { type ExtFileEntry, FdTypes, type FileEntry } from "../images/schema/generated/files.ts";
import { FileRestoreError } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { unsupported } from "./unsupported.ts";

export const external: FileKind = {
  type: FdTypes.EXT,
  // It is asked when all others have been: see FilesDump.
  recognises: () => false,
  dumper: (context) => new ExternalDump(context),
  restorer: (context) => new ExternalRestore(context),
};

class ExternalDump implements FileDumper {
  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const { plugins } = this.context;
    if (!plugins.has("dumpExternalFile")) throw unsupported(file);
    const { rdevMajor, rdevMinor } = file.fullStatus;
    const taken = plugins.dumpExternalFile({
      fd: file.copy,
      id,
      pid: file.pid,
      number: typeof file.role === "number" ? file.role : undefined,
      link: file.link,
      mode: file.fullStatus.mode,
      major: rdevMajor,
      minor: rdevMinor,
    });
    if (!taken) throw unsupported(file);
    this.context.add({ type: FdTypes.EXT, id, ext: { id, fown: file.owner } });
  }
}

class ExternalRestore implements FileRestorer {
  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { id } = externalOf(entry);
    const fd = this.context.plugins.restoreExternalFile(id);
    if (fd === undefined)
      throw new FileRestoreError(`files.img: file ${id} was saved by a plugin, and none restores it`);
    if (!Number.isInteger(fd) || fd < 0)
      throw new FileRestoreError(`files.img: file ${id}: a plugin gave ${fd} for a descriptor`);
    return fd;
  }

  owner(entry: FileEntry): ExtFileEntry["fown"] {
    return externalOf(entry).fown;
  }
}

function externalOf(entry: FileEntry): ExtFileEntry {
  if (entry.ext === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no plugin's`);
  return entry.ext;
}
