/** Calls in network namespaces: one bare process of ours makes them, which goes from one namespace to the next. */
import { NEW } from "../../linux/clone.ts";
import type { Fd } from "../../linux/fd.ts";
import { AT, O, selfPath } from "../../linux/io.ts";
import { NETLINK, Netlink } from "../../linux/netlink.ts";
import { NR } from "../../linux/nr.ts";
import type { HostPid } from "../../linux/pid.ts";
import { AF, IPPROTO, SOCK } from "../../linux/socket.ts";
import { statusOf } from "../../linux/statx.ts";
import { cString, rawSyscall } from "../../linux/syscall.ts";
import { Helper } from "../../tracee/build/helper.ts";
import type { Table } from "../../tracee/table/table.ts";
import { PING_GROUPS, readSysctls } from "./sysctls.ts";

/** An id that stays as it is: setresgid(2). */
const SAME = -1;

export class NetHelper implements Disposable {
  #helper: Helper | undefined;
  /** Inode of the namespace that it is in. */
  #where: number | undefined;

  /** `avoid` are ids that others are to be born with. */
  constructor(private readonly avoid: ReadonlySet<HostPid> = new Set()) {}

  /** Calls in the namespace that a descriptor of ours, lent until all is done, leads to. @throws KernelError */
  in(namespace: number): Table {
    const helper = this.#started();
    const { table } = helper;
    table.run();
    const { ino } = statusOf(namespace);
    if (this.#where !== ino) {
      const there = helper.give("a net namespace", namespace);
      table.must("a net namespace", NR.setns, there, NEW.NET);
      table.must("a net namespace", NR.close, there);
      table.run();
      this.#where = ino;
    }
    return table;
  }

  /** A network namespace that is nobody's yet, the caller's to close. @throws KernelError */
  create(): Fd {
    const helper = this.#started();
    const { table } = helper;
    table.run();
    this.#where = undefined;
    table.must("a net namespace", NR.unshare, NEW.NET);
    table.run();
    return helper.namespace("net");
  }

  /** socket(2) in a namespace. @throws KernelError */
  socket(namespace: number, family: number, type: number, protocol = 0): Fd {
    const isPing = type === SOCK.DGRAM && (protocol === IPPROTO.ICMP || protocol === IPPROTO.ICMPV6);
    const group = isPing ? this.#groupThatPings(namespace) : undefined;
    const what = `a socket of family ${family}, type ${type}, protocol ${protocol}`;
    return this.opened(namespace, "a socket", (table) => {
      if (group !== undefined) table.must(what, NR.setresgid, SAME, group.allowed, SAME);
      const socket = table.must(what, NR.socket, family, type | SOCK.CLOEXEC, protocol);
      if (group !== undefined) table.must(what, NR.setresgid, SAME, group.ours, SAME);
      return socket;
    });
  }

  /** Who makes a socket for pings has to be of a group that may: one that may there, where ours may not. */
  #groupThatPings(namespace: number): { readonly allowed: number; readonly ours: number } | undefined {
    const [range = ""] = readSysctls(this.in(namespace), [PING_GROUPS]);
    const [first = 1, last = 0] = range.split("\t").map(Number);
    const ours = rawSyscall(NR.getegid);
    const isOurs = first <= ours && ours <= last;
    return isOurs || first > last ? undefined : { allowed: first, ours };
  }

  /** What a call opens there, as a descriptor of ours. @throws KernelError */
  opened(namespace: number, what: string, open: (table: Table) => { readonly value: number }): Fd {
    const table = this.in(namespace);
    const result = open(table);
    table.run();
    const number = result.value;
    try {
      return this.#started().take(number);
    } finally {
      table.must(what, NR.close, number);
    }
  }

  /** The file that a descriptor of ours leads to, lent, opened there. @throws KernelError */
  reopened(namespace: number, fd: number, flags: number, what: string): Fd {
    const table = this.in(namespace);
    const there = this.#started().give(what, fd);
    table.run();
    const path = selfPath(there.value);
    return this.opened(namespace, what, () => {
      const opened = table.must(what, NR.openat, AT.FDCWD, table.data(cString(path)), flags | O.CLOEXEC, 0);
      table.must(what, NR.close, there);
      return opened;
    });
  }

  /** A socket that speaks with the kernel about a namespace. @throws KernelError */
  netlink(namespace: number, protocol: number = NETLINK.ROUTE): Netlink {
    return new Netlink(this.socket(namespace, AF.NETLINK, SOCK.RAW, protocol));
  }

  /** Ends the process. */
  [Symbol.dispose](): void {
    this.#helper?.[Symbol.dispose]();
    this.#helper = undefined;
    this.#where = undefined;
  }

  #started(): Helper {
    this.#helper ??= Helper.start(this.avoid);
    return this.#helper;
  }
}
