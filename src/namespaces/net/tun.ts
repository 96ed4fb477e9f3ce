/**
 * tun and tap devices. Those that live only as long as somebody has them open are made persistent, until the file that has them
 * open is back (files/tun.ts).
 */
import { NdType } from "../../images/schema/generated/namespaces.ts";
import type { Fd } from "../../linux/fd.ts";
import { AT, O } from "../../linux/io.ts";
import { attributesIn } from "../../linux/netlink.ts";
import { NR } from "../../linux/nr.ts";
import { NO_ID } from "../../linux/owners.ts";
import { s32 } from "../../linux/struct.ts";
import { cString } from "../../linux/syscall.ts";
import {
  attachedDevice,
  deviceIndex,
  deviceRequest,
  hasFilter,
  IFLA_TUN,
  setTunNumber,
  setTunValue,
  TUN,
  TUN_FLAG,
  tunNumber,
} from "../../linux/tun.ts";
import { ImageValueError, UnsupportedError } from "../../process/errors.ts";
import { addCommon, changeDevice } from "./devices.ts";
import type { NetHelper } from "./helper.ts";
import { type LinkKind, nameOfLink, type TunState } from "./link-kind.ts";

const NODE = "/dev/net/tun";
/** Attaching without having the kernel look for the filter in our memory. */
const NO_FILTER = TUN_FLAG.NO_PI;
/** Flags that only who has the device open is told of. */
const TOLD_TO_USERS = TUN_FLAG.NAPI | TUN_FLAG.NAPI_FRAGS;
const TYPE_TUN = 1;
const NOBODY = -1;

/** What a descriptor tells of the device that it is attached to. @throws KernelError, UnsupportedError */
export function tunState(fd: number, name: string): TunState {
  if (hasFilter(fd))
    throw new UnsupportedError(`tap device ${name}: a filter of its packets, which nobody can read`);
  return {
    vnetHeader: tunNumber(fd, TUN.GETVNETHDRSZ),
    sendBuffer: tunNumber(fd, TUN.GETSNDBUF),
    flags: (attachedDevice(fd)?.flags ?? 0) & TOLD_TO_USERS,
  };
}

/** A descriptor of ours that is attached to a device of a namespace; with `index` the device is made. @throws KernelError */
function openDevice(helper: NetHelper, namespace: number, name: string, flags: number, index?: number): Fd {
  return helper.opened(namespace, NODE, (table) => {
    const what = `tun device ${name}`;
    const fd = table.must(NODE, NR.openat, AT.FDCWD, table.data(cString(NODE)), O.RDWR | O.CLOEXEC, 0);
    if (index !== undefined) table.must(what, NR.ioctl, fd, TUN.SETIFINDEX, table.data(deviceIndex(index)));
    table.must(what, NR.ioctl, fd, TUN.SETIFF, table.data(deviceRequest(name, flags)));
    return fd;
  });
}

function flagsOf(data: Uint8Array): number {
  const attributes = attributesIn(data);
  const is = (type: number): boolean => (attributes.get(type)?.[0] ?? 0) !== 0;
  let flags = attributes.get(IFLA_TUN.TYPE)?.[0] === TYPE_TUN ? TUN_FLAG.TUN : TUN_FLAG.TAP;
  if (!is(IFLA_TUN.PI)) flags |= TUN_FLAG.NO_PI;
  if (is(IFLA_TUN.VNET_HDR)) flags |= TUN_FLAG.VNET_HDR;
  if (is(IFLA_TUN.PERSIST)) flags |= TUN_FLAG.PERSIST;
  if (is(IFLA_TUN.MULTI_QUEUE)) flags |= TUN_FLAG.MULTI_QUEUE;
  return flags;
}

/** An owner that the kernel tells of as we know them, or nobody. */
function ownerIn(data: Uint8Array, type: number, inside: (id: number) => number): number {
  const value = attributesIn(data).get(type);
  return value === undefined ? NOBODY : inside(s32.read(value, 0)) | 0;
}

export const tun: LinkKind = {
  type: NdType.TUN,
  names: ["tun"],
  dump({ name, data }, net, { helper, owners, tunOf }) {
    const flags = flagsOf(data);
    let state = tunOf(net, name);
    if (state === undefined) {
      if ((flags & TUN_FLAG.PERSIST) === 0)
        throw new UnsupportedError(
          `tun device ${name}: a process outside of the tree has it open; dump that process as well`,
        );
      using fd = openDevice(helper, net.fd, name, flags | NO_FILTER);
      state = tunState(fd.number, name);
    }
    return {
      tun: {
        flags: flags | state.flags,
        owner: ownerIn(data, IFLA_TUN.OWNER, owners.uid),
        group: ownerIn(data, IFLA_TUN.GROUP, owners.gid),
        vnethdr: state.vnetHeader,
        sndbuf: state.sendBuffer,
      },
    };
  },
  make(entry, net, { helper, owners }) {
    const what = nameOfLink(entry);
    const { tun } = entry;
    if (tun === undefined) throw new ImageValueError(`${what}: its image does not say what tun device it is`);
    using fd = openDevice(helper, net.fd.number, entry.name, tun.flags & 0xffff, entry.ifindex);
    setOwner(fd.number, TUN.SETOWNER, tun.owner, owners.uid, `${what}: its owner`);
    setOwner(fd.number, TUN.SETGROUP, tun.group, owners.gid, `${what}: its group`);
    setTunNumber(fd.number, TUN.SETSNDBUF, tun.sndbuf);
    setTunNumber(fd.number, TUN.SETVNETHDRSZ, tun.vnethdr);
    setTunValue(fd.number, TUN.SETPERSIST, 1);
    changeDevice(net.route, entry.ifindex, what, (body) => addCommon(body, entry));
  },
};

function setOwner(
  fd: number,
  request: number,
  id: number,
  outside: (id: number) => number,
  what: string,
): void {
  if (id === NOBODY) return;
  const ours = outside(id >>> 0);
  if (ours === NO_ID) throw new ImageValueError(`${what}: ${id} has no name here`);
  setTunValue(fd, request, ours);
}
