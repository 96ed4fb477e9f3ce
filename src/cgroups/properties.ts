/** Which properties of control groups are saved: those that are known here, and what --cgroup-props says of it. */
import { CgroupError } from "./errors.ts";

const V1 = ["cgroup.clone_children", "notify_on_release", "cgroup.procs", "tasks"] as const;
const V2 = [
  "cgroup.subtree_control",
  "cgroup.max.descendants",
  "cgroup.max.depth",
  "cgroup.freeze",
  "cgroup.type",
  "cpu.weight",
  "cpu.max",
  "cpu.idle",
  "cpuset.cpus",
  "cpuset.mems",
  "io.weight",
  "io.max",
  "memory.min",
  "memory.low",
  "memory.high",
  "memory.max",
  "memory.oom.group",
  "memory.swap.max",
  "pids.max",
] as const;
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  cpu: ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.rt_period_us", "cpu.rt_runtime_us"],
  memory: [
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.swappiness",
    "memory.soft_limit_in_bytes",
    "memory.move_charge_at_immigrate",
    "memory.oom_control",
    "memory.use_hierarchy",
    "memory.kmem.limit_in_bytes",
    "memory.kmem.tcp.limit_in_bytes",
  ],
  cpuset: [
    "cpuset.cpus",
    "cpuset.mems",
    "cpuset.memory_migrate",
    "cpuset.cpu_exclusive",
    "cpuset.mem_exclusive",
    "cpuset.mem_hardwall",
    "cpuset.memory_spread_page",
    "cpuset.memory_spread_slab",
    "cpuset.sched_load_balance",
    "cpuset.sched_relax_domain_level",
  ],
  blkio: ["blkio.weight"],
  net_cls: ["net_cls.classid"],
  net_prio: ["net_prio.ifpriomap"],
  pids: ["pids.max"],
  devices: ["devices.list"],
};

/** Those that can only be set while a group has neither tasks nor children. */
const FIRST: ReadonlySet<string> = new Set([
  "cpuset.cpus",
  "cpuset.mems",
  "devices.list",
  "memory.kmem.limit_in_bytes",
  "memory.swappiness",
  "memory.oom_control",
  "memory.use_hierarchy",
  "cgroup.type",
]);

/** Whether a property is to be set as soon as the group is there. */
export function isFirst(name: string): boolean {
  return FIRST.has(name);
}

/** Of these the owner and the mode count, not what they hold. */
export function isList(name: string): boolean {
  return name === "cgroup.procs" || name === "tasks" || name === "cgroup.threads";
}

/** The names of properties by controller; version 2 is the controller "". */
export class Properties {
  readonly #extra: ReadonlyMap<string, { replace: boolean; names: readonly string[] }>;

  /** `spec` is what --cgroup-props says. @throws CgroupError */
  constructor(spec: string | undefined) {
    this.#extra = spec === undefined ? new Map() : parseSpec(spec);
  }

  of(hierarchy: string): string[] {
    const controllers = hierarchy === "" ? [""] : hierarchy.split(",");
    const names: string[] = controllers.flatMap((controller) => {
      const known = controller === "" ? [] : (KNOWN[controller] ?? []);
      const extra = this.#extra.get(controller);
      if (extra === undefined) return [...known];
      return extra.replace ? [...extra.names] : [...known, ...extra.names];
    });
    return [...new Set([...names, ...(hierarchy === "" ? V2 : V1)])];
  }
}

/**
 * The simplified YAML of criu(8): controllers in quotes, each with a strategy, merge or replace, and a list of properties.
 * @throws CgroupError
 */
function parseSpec(spec: string): Map<string, { replace: boolean; names: string[] }> {
  const parsed = new Map<string, { replace: boolean; names: string[] }>();
  const one = /\s*"([^"]*)":\s*\n\s*- "strategy": "(merge|replace)"\s*\n\s*- "properties": \[([^\]]*)\]\s*/y;
  while (one.lastIndex < spec.length) {
    const found = one.exec(spec);
    if (found === null)
      throw new CgroupError(`--cgroup-props: it is not of the form that criu(8) asks for: ${spec}`);
    const [, controller = "", strategy, list = ""] = found;
    const names = [...list.matchAll(/"([^"]*)"/g)].map(([, name = ""]) => name);
    parsed.set(controller, { replace: strategy === "replace", names });
  }
  return parsed;
}
