/** Files by which a program has the packets of a tun or tap device: /dev/net/tun. The devices are namespaces/net/tun.ts. */
import { FdTypes, type FileEntry, type TunfileEntry } from "../images/schema/generated/files.ts";
import type { FownEntry } from "../images/schema/generated/sockets.ts";
import { F } from "../linux/fcntl.ts";
import { fcntl, O, S, withFd } from "../linux/io.ts";
import {
  attach,
  attachedDevice,
  detachQueue,
  setTunValue,
  TUN,
  TUN_FLAG,
  TUN_MAJOR,
  TUN_MINOR,
} from "../linux/tun.ts";
import { tunState } from "../namespaces/net/tun.ts";
import { FileDumpError, FileRestoreError, restoring } from "./errors.ts";
import type { DumpContext, FileDumper, FileKind, FileRestorer, RestoreContext } from "./kind.ts";
import { NO_OWNER, type OpenFile } from "./open-file.ts";
import { withAsync } from "./status-flags.ts";

export const tunFile: FileKind = {
  type: FdTypes.TUNF,
  recognises: (file) =>
    file.format === S.IFCHR &&
    !file.isPath &&
    file.fullStatus.rdevMajor === TUN_MAJOR &&
    file.fullStatus.rdevMinor === TUN_MINOR,
  dumper: (context) => new TunFileDump(context),
  restorer: (context) => new TunFileRestore(context),
};

class TunFileDump implements FileDumper {
  constructor(private readonly context: DumpContext) {}

  dump(file: OpenFile, id: number): void {
    const net = this.context.network.namespaces.of(file.copy);
    if (net.isOurs)
      throw new FileDumpError(
        `${file.where}: a tun device of the network that we live in, which a restore could not make again; dump a tree with a network namespace of its own`,
      );
    this.context.paths.dump(file, id);
    const tunf: TunfileEntry = { id, ns_id: net.id };
    const device = attachedDevice(file.copy);
    if (device !== undefined) {
      tunf.netdev = device.name;
      if ((device.flags & TUN_FLAG.DETACH_QUEUE) !== 0) tunf.detached = true;
      this.context.network.namespaces.noteTun(net, device.name, tunState(file.copy, device.name));
    }
    this.context.add({ type: FdTypes.TUNF, id, tunf });
  }
}

class TunFileRestore implements FileRestorer {
  constructor(private readonly context: RestoreContext) {}

  make(entry: FileEntry): number {
    const { ns_id, netdev, detached } = tunOf(entry);
    const { flags } = this.context.paths.entryOf(entry.id);
    const what = `files.img: file ${entry.id}: a file of tun device ${netdev ?? "none"}`;
    return withFd(this.context.paths.openPlain(entry.id, O.PATH), (path) =>
      restoring(what, () => {
        // It belongs to the network of who opens it.
        using fd = this.context.nets.reopen(ns_id, path, flags & O.ACCMODE, what);
        if (netdev !== undefined) {
          const device = this.#deviceFlags(ns_id, netdev, what);
          attach(fd.number, netdev, device);
          if (detached === true) detachQueue(fd.number, netdev);
          if ((device & TUN_FLAG.PERSIST) === 0) setTunValue(fd.number, TUN.SETPERSIST, 0);
        }
        fcntl(fd.number, F.SETFL, flags & ~O.ASYNC);
        return fd.release();
      }),
    );
  }

  #deviceFlags(net: number | undefined, name: string, what: string): number {
    const link = this.context.nets.linkOf(net, name);
    if (link?.tun === undefined) throw new FileRestoreError(`${what}: there is no such device`);
    return link.tun.flags & DEVICE_FLAGS;
  }

  owner(entry: FileEntry): FownEntry {
    return entry.reg?.fown ?? NO_OWNER;
  }

  asyncFlags(entry: FileEntry): number | undefined {
    return entry.reg && withAsync(entry.reg.flags);
  }
}

/** Those that TUNSETIFF takes. */
const DEVICE_FLAGS = 0xffff;

function tunOf(entry: FileEntry): TunfileEntry {
  if (entry.tunf === undefined) throw new FileRestoreError(`files.img: file ${entry.id} is no tun device's`);
  return entry.tunf;
}
