/**
 * Sysctls of a network namespace (netns-ID.img) and of its devices (netdev-ID.img): files of /proc/sys/net, which show those of
 * whoever opens them.
 */
import { type SysctlEntry, SysctlType } from "../../images/schema/generated/namespaces.ts";
import { ERRNO, KernelError } from "../../linux/errno.ts";
import { AT, O } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { callName, cString } from "../../linux/syscall.ts";
import { textOf } from "../../linux/text.ts";
import { log } from "../../log.ts";
import type { Result, Space, Table } from "../../tracee/table/table.ts";

/** Groups that may make sockets for pings: the first and the last one, as whoever reads calls them. */
export const PING_GROUPS = "ipv4/ping_group_range";

/** What an image has of /proc/sys/net/ipv4/conf/NAME: values in this order, without the names. */
export const CONF4: readonly string[] = [
  "accept_local",
  "accept_redirects",
  "accept_source_route",
  "arp_accept",
  "arp_announce",
  "arp_filter",
  "arp_ignore",
  "arp_notify",
  "bootp_relay",
  "disable_policy",
  "disable_xfrm",
  "force_igmp_version",
  "forwarding",
  "igmpv2_unsolicited_report_interval",
  "igmpv3_unsolicited_report_interval",
  "log_martians",
  "medium_id",
  "promote_secondaries",
  "proxy_arp",
  "proxy_arp_pvlan",
  "route_localnet",
  "rp_filter",
  "secure_redirects",
  "send_redirects",
  "shared_media",
  "src_valid_mark",
  "tag",
  "ignore_routes_with_linkdown",
  "drop_gratuitous_arp",
  "drop_unicast_in_l2_multicast",
];

/** What an image has of /proc/sys/net/ipv6/conf/NAME. */
export const CONF6: readonly string[] = [
  "accept_dad",
  "accept_ra",
  "accept_ra_defrtr",
  "accept_ra_from_local",
  "accept_ra_min_hop_limit",
  "accept_ra_mtu",
  "accept_ra_pinfo",
  "accept_ra_rt_info_max_plen",
  "accept_ra_rtr_pref",
  "accept_redirects",
  "accept_source_route",
  "autoconf",
  "dad_transmits",
  "disable_ipv6",
  "drop_unicast_in_l2_multicast",
  "drop_unsolicited_na",
  "force_mld_version",
  "force_tllao",
  "forwarding",
  "hop_limit",
  "ignore_routes_with_linkdown",
  "keep_addr_on_down",
  "max_addresses",
  "max_desync_factor",
  "mldv1_unsolicited_report_interval",
  "mldv2_unsolicited_report_interval",
  "mtu",
  "ndisc_notify",
  "optimistic_dad",
  "proxy_ndp",
  "regen_max_retry",
  "router_probe_interval",
  "router_solicitation_delay",
  "router_solicitation_interval",
  "router_solicitations",
  "stable_secret",
  "suppress_frag_ndisc",
  "temp_prefered_lft",
  "temp_valid_lft",
  "use_oif_addrs_only",
  "use_optimistic",
  "use_tempaddr",
];

/** The one of them that is no number; it cannot be read before it was written. */
const SECRET = "stable_secret";
/** Forwarding sets it as well, so it comes last. */
const LAST = "accept_redirects";
const SIZE = 256;
/** What a table needs for one file: three calls, its path and its content. */
const TABLE_BYTES = 1024;
const ROOT = "/proc/sys/net";

/** What is in files below /proc/sys/net, without the line's end; undefined for those that are not there or have nothing yet. */
export function readSysctls(table: Table, names: readonly string[]): (string | undefined)[] {
  const asked: { length: Result; space: Space }[] = [];
  for (const name of names) {
    table.reserve(TABLE_BYTES);
    const path = table.data(cString(`${ROOT}/${name}`));
    const fd = table.call(NR.openat, AT.FDCWD, path, O.RDONLY | O.CLOEXEC, 0);
    const space = table.space(SIZE);
    const length = table.call(NR.read, fd, space.address, SIZE);
    table.call(NR.close, fd);
    asked.push({ length, space });
  }
  table.run();
  return asked.map(({ length, space }) =>
    length.failed ? undefined : textOf(space.bytes, 0, length.raw).trimEnd(),
  );
}

/**
 * Writes to files below /proc/sys/net what they do not say already. `weak`: those that are not there are passed over, with a warning.
 * @throws KernelError naming the file and the value
 */
export function writeSysctls(
  table: Table,
  values: readonly (readonly [name: string, value: string])[],
  weak: boolean,
): void {
  const now = readSysctls(
    table,
    values.map(([name]) => name),
  );
  const wanted = values.filter(([, value], i) => now[i] !== value);
  const written = wanted.map(([name, value]) => {
    table.reserve(TABLE_BYTES);
    const text = new TextEncoder().encode(`${value}\n`);
    const path = table.data(cString(`${ROOT}/${name}`));
    const fd = table.call(NR.openat, AT.FDCWD, path, O.WRONLY | O.CLOEXEC, 0);
    const result = table.call(NR.write, fd, table.data(text), text.length);
    table.call(NR.close, fd);
    return { name, value, fd, result };
  });
  table.run();
  for (const { name, value, fd, result } of written) {
    const failed = fd.failed ? fd : result.failed ? result : undefined;
    if (failed === undefined) continue;
    const what = `net.${name.replaceAll("/", ".")} = ${value}`;
    if (weak && failed === fd && fd.raw === -ERRNO.ENOENT)
      log.warn("net", `sysctl ${what}: this kernel has none of the name`);
    else throw new KernelError(callName(failed.nr), `sysctl ${what}`, -failed.raw);
  }
}

/** As images have them: a number, or, for some, a text; the value left out where there is none. */
export function entryOf(value: string | undefined, isText: boolean): SysctlEntry {
  if (isText) return { type: SysctlType.CTL_STR, sarg: value };
  return { type: SysctlType.CTL_32, iarg: value === undefined ? undefined : Number(value) };
}

export function valueIn({ type, iarg, sarg }: SysctlEntry): string | undefined {
  return type === SysctlType.CTL_STR ? sarg?.trimEnd() : iarg?.toString();
}

/** A table of values: those of a device, or the default ones, or those for all. */
export interface ConfTable {
  readonly version: "ipv4" | "ipv6";
  /** Name of a device, `default` or `all`. */
  readonly of: string;
}

function namesOf({ version, of }: ConfTable): string[] {
  return (version === "ipv4" ? CONF4 : CONF6).map((name) => `${version}/conf/${of}/${name}`);
}

/** The values of tables, each as an image has it. */
export function readConf(table: Table, tables: readonly ConfTable[]): SysctlEntry[][] {
  const names = tables.map(namesOf);
  const values = readSysctls(table, names.flat());
  let at = 0;
  return names.map((each) => each.map((name) => entryOf(values[at++], name.endsWith(`/${SECRET}`))));
}

/** Sets a table as an image has it. @throws KernelError */
export function writeConf(
  table: Table,
  conf: ConfTable,
  entries: readonly SysctlEntry[],
  weak: boolean,
): void {
  const names = namesOf(conf);
  if (entries.length > names.length)
    log.warn("net", `${conf.version} sysctls of ${conf.of}: the image has more than are known`);
  const values = names.flatMap((name, i): [string, string][] => {
    const entry = entries[i];
    const value = entry && valueIn(entry);
    return value === undefined ? [] : [[name, value]];
  });
  const isLast = ([name]: [string, string]) => name.endsWith(`/${LAST}`);
  // By themselves, as forwarding changes what they say.
  writeSysctls(
    table,
    values.filter((value) => !isLast(value)),
    weak,
  );
  writeSysctls(table, values.filter(isLast), weak);
}

/** What a device's coming up sets anew: the MTU of IPv6. @throws KernelError */
export function writeMtu6(
  table: Table,
  device: string,
  entries: readonly SysctlEntry[],
  weak: boolean,
): void {
  const entry = entries[CONF6.indexOf("mtu")];
  const value = entry && valueIn(entry);
  if (value !== undefined) writeSysctls(table, [[`ipv6/conf/${device}/mtu`, value]], weak);
}

/** As `conf` and its like in images of CRIU before 3.0: numbers, where this one stands for none. */
const OLD_NONE = -1;

export function oldEntries(values: readonly number[]): SysctlEntry[] {
  return values.map((value) => entryOf(value === OLD_NONE ? undefined : String(value), false));
}
