/**
 * What belongs to a network namespace as a whole: netns-ID.img. CRIU saves some sysctls; of the others those are saved that are not
 * as in a new namespace.
 */
import { type NamedSysctl, type NetnsEntry, SysctlType } from "../../images/schema/generated/namespaces.ts";
import { KernelError } from "../../linux/errno.ts";
import { AT, namesIn, O, open, S, withFd } from "../../linux/io.ts";
import type { Owners } from "../../linux/owners.ts";
import { fullStatusAt } from "../../linux/statx.ts";
import { log } from "../../log.ts";
import type { Table } from "../../tracee/table/table.ts";
import {
  CONF4,
  CONF6,
  entryOf,
  oldEntries,
  PING_GROUPS,
  readConf,
  readSysctls,
  valueIn,
  writeConf,
  writeSysctls,
} from "./sysctls.ts";

const MAX_DGRAM_QLEN = "unix/max_dgram_qlen";
/** That nobody may ping, as at the beginning. */
const NO_GROUPS = "1\t0";
const ROOT = "/proc/sys/net";
const OWNER_WRITES = 0o200;
/** Tables of values for each device: below them are `all` and `default`, which every namespace has. */
const BY_DEVICE = ["ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh"];

/** An entry with nothing in it. */
export function emptyNetns(): NetnsEntry {
  return {
    def_conf: [],
    all_conf: [],
    def_conf4: [],
    all_conf4: [],
    def_conf6: [],
    all_conf6: [],
    nsids: [],
    unix_conf: [],
    ipv4_sysctl: [],
    others: [],
    neighbours: [],
    nexthops: [],
    missing_rules6: [],
  };
}

// --- dump

/** Files below a directory of /proc/sys/net that can be written, as our namespace has them; of the devices those of `lo` alone. */
function writable(directory: string): string[] {
  const found: string[] = [];
  const path = directory === "" ? ROOT : `${ROOT}/${directory}`;
  const isByDevice = BY_DEVICE.includes(directory);
  for (const name of withFd(open(path, O.RDONLY | O.DIRECTORY), (fd) => namesIn(fd, path))) {
    if (isByDevice && name !== "all" && name !== "default" && name !== "lo") continue;
    const inside = directory === "" ? name : `${directory}/${name}`;
    const { mode } = fullStatusAt(AT.FDCWD, `${ROOT}/${inside}`);
    if ((mode & S.IFMT) === S.IFDIR) found.push(...writable(inside));
    else if ((mode & OWNER_WRITES) !== 0) found.push(inside);
  }
  return found;
}

/** Those that CRIU's part of the image has. */
function isKnown(name: string): boolean {
  if (name === MAX_DGRAM_QLEN || name === PING_GROUPS) return true;
  const [version, kind, , value = ""] = name.split("/");
  return kind === "conf" && (version === "ipv4" ? CONF4 : CONF6).includes(value);
}

/** Where sysctls are read. */
export interface SysctlReaders {
  /** Makes calls in the namespace that is dumped. */
  here(): Table;
  /** What files below /proc/sys/net say where nobody has changed them. */
  anew(names: readonly string[]): (string | undefined)[];
}

function othersOf(readers: SysctlReaders, devices: readonly string[]): NamedSysctl[] {
  const names = writable("").filter((name) => !isKnown(name));
  const ofDevice = (name: string) => BY_DEVICE.some((directory) => name.startsWith(`${directory}/lo/`));
  const common = names.filter((name) => !ofDevice(name));
  const others: NamedSysctl[] = [];
  const compare = (wanted: readonly string[], usual: readonly (string | undefined)[]) => {
    readSysctls(readers.here(), wanted).forEach((value, i) => {
      const name = wanted[i];
      if (name !== undefined && value !== undefined && usual[i] !== undefined && value !== usual[i])
        others.push({ name, value });
    });
  };
  compare(common, readers.anew(common));
  const perDevice = names.filter(ofDevice);
  const anew = readers.anew(perDevice);
  // Where there is no table of default values, those of `lo` are the same as any device's.
  const usual = readSysctls(
    readers.here(),
    perDevice.map((name) => name.replace("/lo/", "/default/")),
  ).map((value, i) => value ?? anew[i]);
  for (const device of devices)
    compare(
      perDevice.map((name) => name.replace("/lo/", `/${device}/`)),
      usual,
    );
  return others;
}

/** @throws KernelError */
export function dumpNetnsConf(
  readers: SysctlReaders,
  devices: readonly string[],
  owners: Owners,
): NetnsEntry {
  const [def_conf4 = [], all_conf4 = [], def_conf6 = [], all_conf6 = []] = readConf(readers.here(), [
    { version: "ipv4", of: "default" },
    { version: "ipv4", of: "all" },
    { version: "ipv6", of: "default" },
    { version: "ipv6", of: "all" },
  ]);
  const [queue, groups] = readSysctls(readers.here(), [MAX_DGRAM_QLEN, PING_GROUPS]);
  return {
    ...emptyNetns(),
    def_conf4,
    all_conf4,
    def_conf6,
    all_conf6,
    unix_conf: queue === undefined ? [] : [entryOf(queue, false)],
    ipv4_sysctl:
      groups === undefined ? [] : [{ type: SysctlType.CTL_STR, sarg: groupsInside(groups, owners) }],
    others: othersOf(readers, devices),
  };
}

/** A range of groups by other names; undefined where it is empty as at the beginning. */
function groupsInside(range: string, owners: Owners): string | undefined {
  if (range === NO_GROUPS) return undefined;
  return `${range
    .split("\t")
    .map((group) => owners.gid(Number(group)))
    .join("\t")}\n`;
}

// --- restore

/** What comes before devices are made. @throws KernelError */
export function restoreNetnsConf(table: Table, entry: NetnsEntry, owners: Owners, weak: boolean): void {
  const { all_conf4, def_conf4, all_conf, def_conf, all_conf6, def_conf6, unix_conf, ipv4_sysctl } = entry;
  const all4 = all_conf4.length > 0 ? all_conf4 : oldEntries(all_conf);
  const default4 = def_conf4.length > 0 ? def_conf4 : oldEntries(def_conf);
  writeConf(table, { version: "ipv4", of: "all" }, all4, weak);
  writeConf(table, { version: "ipv4", of: "default" }, default4, weak);
  writeConf(table, { version: "ipv6", of: "all" }, all_conf6, weak);
  writeConf(table, { version: "ipv6", of: "default" }, def_conf6, weak);
  const [queue] = unix_conf.map(valueIn);
  if (queue !== undefined) writeSysctls(table, [[MAX_DGRAM_QLEN, queue]], weak);
  const [groups] = ipv4_sysctl.map(valueIn);
  if (groups !== undefined) {
    const outside = groups.split(/\s+/).map((group) => owners.gid(Number(group)));
    writeSysctls(table, [[PING_GROUPS, outside.join("\t")]], weak);
  }
  writeOthers(
    table,
    entry.others.filter(({ name }) => !isOfDevice(name)),
  );
}

/** What comes when they have been made. */
export function restoreDeviceConf(table: Table, { others }: NetnsEntry): void {
  writeOthers(
    table,
    others.filter(({ name }) => isOfDevice(name)),
  );
}

function isOfDevice(name: string): boolean {
  return BY_DEVICE.some(
    (directory) =>
      name.startsWith(`${directory}/`) &&
      !name.startsWith(`${directory}/all/`) &&
      !name.startsWith(`${directory}/default/`),
  );
}

/** Below /proc/sys/net, whatever an image says. */
const PLAIN = /^[a-z0-9_]+(\/[^/\0]+)*$/i;

/** CRIU would not have brought them back either: that one cannot be set is told. */
function writeOthers(table: Table, others: readonly NamedSysctl[]): void {
  let waiting = others.filter(({ name }) => PLAIN.test(name) && !name.split("/").includes(".."));
  // Some are allowed only when others have been set.
  for (let round = 0; round < 2; round++) {
    waiting = waiting.filter(({ name, value }) => {
      try {
        writeSysctls(table, [[name, value]], true);
        return false;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (round > 0) log.warn("net", error.message);
        return true;
      }
    });
  }
}
