/** What the kernel says of itself and of the machine: uname(2). */
import { NR } from "./nr.ts";
import { bytes, struct } from "./struct.ts";
import { addressOf, syscall } from "./syscall.ts";

/** struct new_utsname (include/uapi/linux/utsname.h): texts that end with a zero. */
export const utsname = struct({
  sysname: bytes(65),
  nodename: bytes(65),
  release: bytes(65),
  version: bytes(65),
  machine: bytes(65),
  domainname: bytes(65),
});

/** The six texts of uname(2), in the UTS namespace that we are in. */
export function uname(): Record<keyof ReturnType<typeof utsname.decode>, string> {
  const buffer = new Uint8Array(utsname.size);
  syscall("", NR.uname, addressOf(buffer));
  const { sysname, nodename, release, version, machine, domainname } = utsname.decode(buffer);
  return {
    sysname: text(sysname),
    nodename: text(nodename),
    release: text(release),
    version: text(version),
    machine: text(machine),
    domainname: text(domainname),
  };
}

function text(field: Uint8Array): string {
  return new TextDecoder().decode(field.subarray(0, field.indexOf(0)));
}
