/**
 * The network namespace that a tree lives in, ours or another: sockets are made in it, also those by which the kernel is asked about
 * it. Once made, a socket is used by us as any other.
 */
import { Fd } from "../linux/fd.ts";
import { O, stat } from "../linux/io.ts";
import { Netlink } from "../linux/netlink.ts";
import { NR } from "../linux/nr.ts";
import { oncePerRun } from "../linux/once-per-run.ts";
import type { HostPid } from "../linux/pid.ts";
import { AF, openSocket, SO, SOCK, SOL, tryGetOption } from "../linux/socket.ts";
import { take } from "../tracee/place/place.ts";
import { Places } from "../tracee/place/places.ts";

const ownInode = oncePerRun(() => stat("/proc/self/ns/net").ino);
const COOKIE_SIZE = 8;

/** A number that a socket has of its namespace (kernel 5.14); undefined where the kernel tells none. */
function cookieOf(fd: number): bigint | undefined {
  const value = new Uint8Array(COOKIE_SIZE);
  if (tryGetOption(fd, SOL.SOCKET, SO.NETNS_COOKIE, value) < 0) return undefined;
  return new DataView(value.buffer).getBigUint64(0, true);
}

export class TreeNetwork implements Disposable {
  #places: Places | undefined;
  #inode: number | undefined;
  #cookie: bigint | undefined;

  /** `memberOf` gives a process that lives there, as soon as one is needed; `avoid` are ids that others are to be born with. */
  constructor(
    private readonly memberOf: () => HostPid | undefined,
    private readonly avoid: ReadonlySet<HostPid> = new Set(),
  ) {}

  /** Our own. */
  static ours(): TreeNetwork {
    return new TreeNetwork(() => undefined);
  }

  get #member(): string {
    return `/proc/${this.memberOf() ?? "self"}/ns/net`;
  }

  /** Inode of the namespace: `net:[4026531840]`. @throws KernelError */
  get inode(): number {
    this.#inode ??= stat(this.#member).ino;
    return this.#inode;
  }

  get isOurs(): boolean {
    return this.inode === ownInode();
  }

  /** The namespace, to be entered. @throws KernelError */
  open(): Fd {
    return Fd.open(this.#member, O.RDONLY);
  }

  /** socket(2) with O_CLOEXEC. @throws KernelError */
  socket(family: number, type: number, protocol = 0): Fd {
    if (this.isOurs) return openSocket(family, type, protocol);
    this.#places ??= new Places(this.avoid);
    using namespace = this.open();
    const place = this.#places.at({ net: namespace.number });
    return take(place, "a socket", NR.socket, family, type | SOCK.CLOEXEC, protocol);
  }

  /** A socket of netlink, of a family of it. @throws KernelError */
  netlink(family: number): Netlink {
    return new Netlink(this.socket(AF.NETLINK, SOCK.RAW, family));
  }

  /** Whether a socket is of this namespace, as far as the kernel tells. @throws KernelError */
  has(fd: number): boolean {
    if (this.#cookie === undefined) {
      using ours = this.socket(AF.UNIX, SOCK.DGRAM);
      this.#cookie = cookieOf(ours.number) ?? 0n;
    }
    return (cookieOf(fd) ?? this.#cookie) === this.#cookie;
  }

  /** Ends who makes sockets for us. */
  [Symbol.dispose](): void {
    this.#places?.[Symbol.dispose]();
    this.#places = undefined;
  }
}
