/** signalfd(2): signals that are read rather than handled. What waits is pending for the tasks, and saved with them. */
import { FdTypes, type FileEntry, type SignalfdEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { O } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, syscall } from "../linux/syscall.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { withAsync, withFlags } from "./status-flags.ts";

export const signalfd: FileKind = {
  type: FdTypes.SIGNALFD,
  recognises: (file) => file.link === "anon_inode:[signalfd]",
  dumper: (context) => new SignalfdDump(context),
  restorer: () => signalfdRestore,
};

class SignalfdDump implements FileDumper {
  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const mask = file.fdinfo.fields.get("sigmask")?.[0];
    if (mask === undefined) throw new FileDumpError(`${file.where}: no sigmask in its fdinfo`);
    const sgfd: SignalfdEntry = { id, flags: file.flags, fown: file.owner, sigmask: BigInt(`0x${mask}`) };
    this.context.add({ type: FdTypes.SIGNALFD, id, sgfd });
  }
}

const signalfdRestore: FileRestorer = {
  make(entry) {
    const { flags, sigmask } = signalfdOf(entry);
    return restoring(`files.img: file ${entry.id}: a signalfd`, () => {
      const mask = new Uint8Array(BigUint64Array.of(sigmask).buffer);
      return withFlags(syscall("", NR.signalfd4, -1, addressOf(mask), mask.length, O.CLOEXEC), flags);
    });
  },
  owner: (entry): FownEntry => signalfdOf(entry).fown,
  asyncFlags: (entry) => withAsync(signalfdOf(entry).flags),
};

function signalfdOf(entry: FileEntry): SignalfdEntry {
  if (entry.sgfd === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no signalfd`);
  return entry.sgfd;
}
