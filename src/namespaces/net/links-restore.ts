/**
 * The devices of the network namespaces of a tree are made in turns, as some stand on others, are their ports, or their other ends.
 * They are down until all have been made.
 */
import { NdType, type NetDeviceEntry } from "../../images/schema/generated/namespaces.ts";
import { interfaceIndex } from "../../linux/interface-names.ts";
import { NETLINK, Netlink } from "../../linux/netlink.ts";
import { ADDR_GEN_MODE, IFF, IFLA, IFLA_INFO } from "../../linux/rtnetlink.ts";
import { log } from "../../log.ts";
import { ImageValueError } from "../../process/errors.ts";
import {
  addCommon,
  addNames,
  changeDevice,
  changedAttributes,
  readDevice,
  setAddrGenMode,
  setFlags,
  setUp,
} from "./devices.ts";
import { type Link, type LinkRestoreContext, nameOfLink, type RestoredNet } from "./link-kind.ts";
import { LINK_KINDS } from "./link-kinds.ts";
import { oldEntries, writeConf, writeMtu6 } from "./sysctls.ts";
import { otherEnd } from "./veth.ts";

export class LinksRestore {
  readonly #made = new Set<NetDeviceEntry>();
  /** In the order in which they were made. */
  readonly #order: Link[] = [];
  readonly #outside: { readonly name: string; readonly bridge: string }[] = [];
  readonly #context: LinkRestoreContext;

  constructor(
    private readonly nets: readonly RestoredNet[],
    context: Omit<LinkRestoreContext, "net" | "made" | "outside">,
    /** Whether sysctls that this kernel lacks are passed over. */
    private readonly weak: boolean,
  ) {
    this.#context = {
      ...context,
      net: (id) => nets.find((net) => net.id === id),
      made: (net, entry) => this.#settle({ net, entry }),
      outside: (name, bridge) => void this.#outside.push({ name, bridge }),
    };
  }

  /** Makes all. @throws ImageValueError, KernelError */
  make(): void {
    let waiting = this.nets.flatMap((net) => net.links.map((entry): Link => ({ net, entry })));
    while (waiting.length > 0) {
      const ready = waiting.filter((link) => this.#isReady(link));
      const [first] = waiting;
      if (ready.length === 0 && first !== undefined)
        throw new ImageValueError(
          `netdev-${first.net.id}.img: ${nameOfLink(first.entry)}: what it stands on, or is a port of, is not there`,
        );
      for (const link of ready) if (!this.#made.has(link.entry)) this.#make(link);
      waiting = waiting.filter(({ entry }) => !this.#made.has(entry));
    }
  }

  /** Sets those up that were, which may give them IPv6 addresses only once all their own are there. @throws KernelError */
  setUp(net: RestoredNet): void {
    for (const { entry } of this.#of(net)) {
      if ((entry.flags & IFF.UP) !== 0) setUp(net.route, entry.ifindex, true, nameOfLink(entry));
    }
  }

  /** The addresses are there: the kernel may add others as it did before. @throws KernelError */
  settle(net: RestoredNet): void {
    for (const { entry } of this.#of(net)) {
      writeMtu6(this.#context.helper.in(net.fd.number), entry.name, entry.conf6, this.weak);
      if (hasIpv6(entry) && entry.type !== NdType.LOOPBACK)
        setAddrGenMode(
          net.route,
          entry.ifindex,
          entry.addr_gen_mode ?? ADDR_GEN_MODE.EUI64,
          nameOfLink(entry),
        );
    }
  }

  /** Everything is in place: connects the ends that are ours with their bridges. @throws ImageValueError, KernelError */
  connect(): void {
    if (this.#outside.length === 0) return;
    using ours = Netlink.open(NETLINK.ROUTE);
    for (const { name, bridge } of this.#outside) {
      const index = interfaceIndex(ours.descriptor, name);
      const master = interfaceIndex(ours.descriptor, bridge);
      if (index === undefined || master === undefined)
        throw new ImageValueError(
          `--external veth[...]:${name}@${bridge}: there is no device ${master === undefined ? bridge : name}`,
        );
      const what = `network device ${name} as a port of ${bridge}`;
      changeDevice(ours, index, what, (body) => body.u32(IFLA.MASTER, master));
      setUp(ours, index, true, what);
    }
  }

  #of(net: RestoredNet): Link[] {
    return this.#order.filter((link) => link.net === net);
  }

  #isReady(link: Link): boolean {
    const { entry } = link;
    const other = entry.type === NdType.VETH ? otherEnd(entry, this.#context) : undefined;
    return this.#standsOn(link) && (other === undefined || this.#standsOn(other));
  }

  #standsOn({ net, entry }: Link): boolean {
    const isThere = (index: number | undefined) => {
      if (index === undefined) return true;
      const link = net.links.find(({ ifindex }) => ifindex === index);
      return link !== undefined && this.#made.has(link);
    };
    return isThere(entry.master) && isThere(entry.link);
  }

  #make(link: Link): void {
    const { net, entry } = link;
    log.debug("net", `net namespace ${net.id}: making ${nameOfLink(entry)}`);
    if (entry.type === NdType.LOOPBACK || !this.#isOurs(link)) this.#set(link);
    else {
      const kind = LINK_KINDS.find(({ type }) => type === entry.type);
      if (kind === undefined)
        throw new ImageValueError(
          `netdev-${net.id}.img: ${nameOfLink(entry)} is of type ${entry.type}, which cannot be restored`,
        );
      kind.make(entry, net, this.#context);
    }
    this.#settle(link);
  }

  /** Whether we make it: otherwise somebody else has, or the kernel. */
  #isOurs({ net, entry }: Link): boolean {
    if (entry.type !== NdType.EXTLINK) return true;
    return entry.kind !== undefined && interfaceIndex(net.route.descriptor, entry.name) === undefined;
  }

  /** One that is there is told by its name. */
  #set({ net, entry }: Link): void {
    const index = interfaceIndex(net.route.descriptor, entry.name);
    if (index === undefined)
      throw new ImageValueError(
        `netdev-${net.id}.img: ${nameOfLink(entry)} is to be made by somebody else, and is not there`,
      );
    changeDevice(net.route, index, nameOfLink(entry), (body) => {
      addCommon(body, entry);
    });
  }

  /** What the message that makes a device does not set. */
  #settle(link: Link): void {
    const { net, entry } = link;
    const { route } = net;
    const what = nameOfLink(entry);
    this.#made.add(entry);
    this.#order.push(link);
    const index = interfaceIndex(route.descriptor, entry.name);
    if (index !== entry.ifindex)
      throw new ImageValueError(
        `netdev-${net.id}.img: ${what} has index ${index} now, by which addresses and routes do not find it`,
      );
    if (entry.alias !== undefined) {
      const { alias } = entry;
      changeDevice(route, index, what, (body) => body.text(IFLA.IFALIAS, alias));
    }
    if (entry.other_names.length > 0) addNames(route, index, entry.other_names, what);
    this.#setConf(link);
    if (entry.master !== undefined) this.#enslave(link, entry.master);
    setFlags(route, entry, what);
    if (hasIpv6(entry) && entry.type !== NdType.LOOPBACK)
      setAddrGenMode(route, index, ADDR_GEN_MODE.NONE, what);
  }

  #setConf({ net, entry }: Link): void {
    const table = this.#context.helper.in(net.fd.number);
    const { name, conf, conf4, conf6 } = entry;
    const values4 = conf4.length > 0 ? conf4 : oldEntries(conf);
    writeConf(table, { version: "ipv4", of: name }, values4, this.weak);
    writeConf(table, { version: "ipv6", of: name }, conf6, this.weak);
  }

  #enslave({ net, entry }: Link, master: number): void {
    const { route } = net;
    const what = `${nameOfLink(entry)} as a port of device ${master}`;
    changeDevice(route, entry.ifindex, what, (body) => body.u32(IFLA.MASTER, master));
    const wanted = entry.port_data ?? new Uint8Array(0);
    if (wanted.length === 0) return;
    const data = changedAttributes(wanted, readDevice(route, entry.ifindex, what).portData);
    if (data.length === 0) return;
    changeDevice(route, entry.ifindex, what, (body) =>
      body.nest(IFLA.LINKINFO, () =>
        body.text(IFLA_INFO.SLAVE_KIND, "bridge").raw(IFLA_INFO.SLAVE_DATA, data),
      ),
    );
  }
}

/** Whether the kernel knows IPv6 of a device. */
function hasIpv6({ conf6 }: NetDeviceEntry): boolean {
  return conf6.some(({ iarg, sarg }) => iarg !== undefined || sarg !== undefined);
}
