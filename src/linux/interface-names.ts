/** Names and indices of network interfaces. */
import { NR } from "./nr.ts";
import { bytes, s32, struct } from "./struct.ts";
import { addressOf, rawSyscall } from "./syscall.ts";
import { textOf, textToBytes } from "./text.ts";

/** struct ifreq: a name, then what is asked of the interface. */
const ifreq = struct({ name: bytes(16), index: s32 }, 40);
const SIOCGIFNAME = 0x8910;
const SIOCGIFINDEX = 0x8933;

/** The name of an interface of the namespace that a socket is of; undefined where there is none of that index. */
export function interfaceName(fd: number, index: number): string | undefined {
  const buffer = ifreq.encode({ index });
  if (rawSyscall(NR.ioctl, fd, SIOCGIFNAME, addressOf(buffer)) < 0) return undefined;
  return textOf(buffer, 0, buffer.indexOf(0));
}

/** The index of an interface of the namespace that a socket is of; undefined where there is none of that name. */
export function interfaceIndex(fd: number, name: string): number | undefined {
  const buffer = ifreq.encode({ name: textToBytes(name) });
  if (rawSyscall(NR.ioctl, fd, SIOCGIFINDEX, addressOf(buffer)) < 0) return undefined;
  return ifreq.decode(buffer).index;
}
