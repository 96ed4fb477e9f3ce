/** eventfd(2): a counter that descriptors can wait for. */
import { type EventfdFileEntry, FdTypes, type FileEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { O, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { viewOf } from "../linux/struct.ts";
import { syscall } from "../linux/syscall.ts";
import { log } from "../log.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer } from "./kind.ts";
import type { OpenFile } from "./open-file.ts";
import { withFlags } from "./status-flags.ts";

/**
 * EFD_SEMAPHORE: reads take one, not all. The flags in an image are those of the description, always O_RDWR; CRIU does
 * not save this one and takes no notice of the bit, which is that of O_WRONLY.
 */
const SEMAPHORE = 1;
/** What a write may add up to. */
const MOST = 0xffff_ffff_ffff_fffen;

export const eventfd: FileKind = {
  type: FdTypes.EVENTFD,
  recognises: (file) => file.link === "anon_inode:[eventfd]",
  dumper: (context) => new EventfdDump(context),
  restorer: () => eventfdRestore,
};

class EventfdDump implements FileDumper {
  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const { fields } = file.fdinfo;
    const count = fields.get("eventfd-count")?.[0];
    if (count === undefined) throw new FileDumpError(`${file.where}: no eventfd-count in its fdinfo`);
    const mode = fields.get("eventfd-semaphore")?.[0];
    if (mode === undefined)
      log.warn("files/eventfd", `${file.where}: this kernel does not tell of semaphores: it will be none`);
    const semaphore = mode === "1";
    const entry: EventfdFileEntry = {
      id,
      flags: file.flags | (semaphore ? SEMAPHORE : 0),
      fown: file.owner,
      counter: BigInt(`0x${count}`),
    };
    this.context.add({ type: FdTypes.EVENTFD, id, efd: entry });
  }
}

const eventfdRestore: FileRestorer = {
  make(entry) {
    const { flags, counter } = eventfdOf(entry);
    return restoring(`files.img: file ${entry.id}: an eventfd`, () => {
      const fd = syscall("", NR.eventfd2, 0, O.CLOEXEC | (flags & SEMAPHORE));
      if (counter > 0n) {
        const bytes = new Uint8Array(8);
        viewOf(bytes).setBigUint64(0, counter > MOST ? MOST : counter, true);
        writeAll(fd, bytes);
      }
      return withFlags(fd, flags);
    });
  },
  owner: (entry): FownEntry => eventfdOf(entry).fown,
};

function eventfdOf(entry: FileEntry): EventfdFileEntry {
  if (entry.efd === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no eventfd`);
  return entry.efd;
}
