/** What a container has and sees, as far as it has to come back: what differs between two such lists is lost or invented. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const STATUS =
  /^(Name|Umask|Uid|Gid|Groups|Threads|SigBlk|SigIgn|SigCgt|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):/;
/** Files of /proc that engines hide behind a null device. At a restore runc asks for the machine's one. */
const HIDDEN = /^\/proc\//;

/**
 * Of process 1 of a container, by the machine's number of it. The time namespace is left out: a container that had none of its own
 * gets one, so that its monotonic clock goes on from where it was.
 */
export function stateOf(pid: number): string[] {
  const at = (name: string) => `/proc/${pid}/${name}`;
  const text = (name: string) => readFileSync(at(name), "utf8").split("\n").filter(Boolean);
  const lines = text("mountinfo").map(mountLine).sort();
  lines.push(...text("status").filter((line) => STATUS.test(line)));
  lines.push(...text("limits").map((line) => `limit ${line}`));
  // Hierarchies that it is at the root of may come and go.
  const groups = text("cgroup").filter((line) => !line.endsWith(":/"));
  lines.push(...groups.map((line) => `group ${line}`));
  lines.push(`oom_score_adj ${text("oom_score_adj")}`, `cmdline ${text("cmdline")}`);
  lines.push(...text("uid_map"), ...text("gid_map"));
  lines.push(`nice ${text("stat")[0]?.replace(/.*\) /, "").split(" ")[16]}`);
  for (const fd of readdirSync(at("fd")))
    lines.push(`descriptor ${fd} ${readlinkSync(at(`fd/${fd}`)).replace(/\d+/g, "N")}`);
  for (const kind of readdirSync(at("ns")).filter((name) => !name.startsWith("time"))) {
    const own = readlinkSync(at(`ns/${kind}`)) !== readlinkSync(`/proc/self/ns/${kind}`);
    lines.push(`namespace ${kind} ${own ? "its own" : "the machine's"}`);
  }
  lines.push(...inside(pid, ["-u", "hostname"]));
  return lines;
}

/** A mount without the numbers of this life. */
function mountLine(line: string): string {
  const fields = line.split(" ");
  const dash = fields.indexOf("-");
  const [, , , root = "", point = "", options = ""] = fields;
  const groups = fields.slice(6, dash).map((field) => field.replace(/\d+/, "N"));
  const [type = "", source = "", whole = ""] = fields.slice(dash + 1);
  if (HIDDEN.test(point) && root === "/null") return `mount ${point} a null device, ${options}`;
  // Without a control group namespace runc binds the groups that it is in itself.
  const from = type === "cgroup" ? "" : root;
  return ["mount", point, from, options, ...groups, type, source, whole].join(" ");
}

function inside(pid: number, words: string[]): string[] {
  const { stdout, exitCode } = Bun.spawnSync(["nsenter", "-t", String(pid), ...words]);
  return [`${words.join(" ")}: ${exitCode} ${stdout.toString()}`];
}

/** What a network namespace has, but for numbers that are new. */
export function networkOf(pid: number): string[] {
  const list = (...words: string[]) =>
    inside(pid, ["-n", "ip", "-o", ...words]).map((line) => line.replace(/valid_lft \S+| tentative/g, ""));
  return [...list("addr"), ...list("route"), ...list("-6", "route")];
}
