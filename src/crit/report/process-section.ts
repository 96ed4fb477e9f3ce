/** One process: what it is, its threads, its memory and its descriptors. */
import type { CoreEntry } from "../../images/schema/generated/process.ts";
import type { Checkpoint, Process, Thread } from "./checkpoint.ts";
import { count, html, type Markup, number, type Part, size, table, text } from "./html.ts";
import { drawMemory, kindTable, mappingTable } from "./map-drawing.ts";
import type { OpenFile, OpenFiles } from "./open-files.ts";
import { processLinks } from "./other-sections.ts";
import { stateOf } from "./overview.ts";

/** Capabilities by number (capability.h). */
const CAPABILITIES = (
  "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service " +
  "net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin " +
  "sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override " +
  "mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
).split(" ");

const POLICIES = ["other", "fifo", "rr", "batch", "", "idle", "deadline"];
const SECCOMP = ["", "strict", "filter"];

type Fact = readonly [name: string, value: Part];

export function processSection(
  process: Process,
  checkpoint: Checkpoint,
  files: OpenFiles,
  isOpen: boolean,
): Markup {
  const { pid, comm, memory, threads, descriptors } = process;
  const path = (id: number) => files.nameOf(id);
  const known = facts(process, checkpoint, files).filter(([, value]) => value !== undefined && value !== "");
  return html`<details id="p${pid}"${isOpen ? open : undefined}><summary>${pid} ${comm}</summary>
<dl class="keys">${known.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
${
  memory === undefined
    ? undefined
    : html`<h3>Memory</h3>${drawMemory(memory, path)}${kindTable(memory)}
<details><summary>${count(memory.mm.vmas.length)} mappings</summary>${mappingTable(memory, path)}</details>`
}
${threads.length > 1 ? html`<h3>Threads</h3>${threadTable(threads, process, path)}` : undefined}
${descriptors.length > 0 ? html`<h3>Descriptors</h3>${descriptorTable(process, files)}` : undefined}
</details>
`;
}

const open = html` open`;

function facts(process: Process, checkpoint: Checkpoint, files: OpenFiles): Fact[] {
  const { core, entry, memory, fs, words, ids } = process;
  const tc = core?.tc;
  const thread = core?.thread_core;
  const owner = checkpoint.memoryOwner(process);
  return [
    ["State", stateOf(process)],
    ["Command line", words === undefined ? undefined : html`<code>${words.map(quotedWord).join(" ")}</code>`],
    ["Program", memory === undefined ? undefined : html`<code>${files.nameOf(memory.mm.exe_file_id)}</code>`],
    ["Directory", fs === undefined ? undefined : html`<code>${files.nameOf(fs.cwd_id)}</code>`],
    ["Root", fs === undefined ? undefined : html`<code>${files.nameOf(fs.root_id)}</code>`],
    ["Parent, group, session", `${entry.ppid}, ${entry.pgid}, ${entry.sid}`],
    ["Memory", owner === undefined ? undefined : html`that of <a href="#p${owner}">${owner}</a>`],
    ["Users", thread?.creds && usersText(thread.creds)],
    ["Capabilities", thread?.creds && capabilitiesText(thread.creds.cap_eff)],
    ["Security", securityText(core)],
    ["Scheduling", thread && schedulingText(core)],
    ["Signals", signalsText(process)],
    ["Timers", timersText(core)],
    ["OOM score", tc?.oom_score_adj || undefined],
    ["Namespaces", ids && namespacesText(ids, checkpoint.inventory?.root_ids)],
  ];
}

/** A word as a shell would want it. */
function quotedWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

type Creds = NonNullable<NonNullable<CoreEntry["thread_core"]>["creds"]>;

function usersText(creds: Creds): string {
  const users = [creds.uid, creds.euid, creds.suid, creds.fsuid];
  const groups = [creds.gid, creds.egid, creds.sgid, creds.fsgid];
  const short = (ids: number[]) => (new Set(ids).size === 1 ? String(ids[0]) : ids.join("/"));
  const more = creds.groups.length === 0 ? "" : `, further groups ${creds.groups.slice(0, 32).join(" ")}`;
  return `user ${short(users)}, group ${short(groups)}${more}`;
}

function capabilitiesText(words: readonly number[]): string {
  const has = (n: number) => (((words[n >> 5] ?? 0) >>> (n & 31)) & 1) === 1;
  const names = CAPABILITIES.filter((_, n) => has(n));
  if (names.length === 0) return "none";
  if (names.length === CAPABILITIES.length) return "all";
  const missing = CAPABILITIES.filter((_, n) => !has(n));
  return names.length <= missing.length ? names.join(", ") : `all but ${missing.join(", ")}`;
}

function securityText(core: CoreEntry | undefined): string {
  const thread = core?.thread_core;
  const mode = SECCOMP[thread?.seccomp_mode ?? core?.tc?.old_seccomp_mode ?? 0];
  return [
    mode ? `seccomp ${mode}` : "",
    thread?.creds?.no_new_privs ? "no new privileges" : "",
    thread?.creds?.lsm_profile ?? "",
  ]
    .filter((each) => each !== "")
    .join(", ");
}

function schedulingText(core: CoreEntry | undefined): string {
  const thread = core?.thread_core;
  const policy = POLICIES[thread?.sched_policy ?? 0] ?? String(thread?.sched_policy);
  const priority = thread?.sched_prio ? `, priority ${thread.sched_prio}` : "";
  return `${policy}${thread?.sched_nice ? `, nice ${thread.sched_nice}` : ""}${priority}`;
}

function signalsText({ core, threads }: Process): string {
  const shared = core?.tc?.signals_s?.signals.length ?? 0;
  const own = threads.reduce(
    (sum, thread) => sum + (thread.core?.thread_core?.signals_p?.signals.length ?? 0),
    0,
  );
  // 0 is SIG_DFL, 1 is SIG_IGN.
  const handlers = core?.tc?.sigactions.filter(({ sigaction }) => sigaction > 1n).length ?? 0;
  const ignored = core?.tc?.sigactions.filter(({ sigaction }) => sigaction === 1n).length ?? 0;
  return [
    handlers > 0 ? `${handlers} handled` : "",
    ignored > 0 ? `${ignored} ignored` : "",
    shared > 0 ? `${shared} pending` : "",
    own > 0 ? `${own} pending for single threads` : "",
  ]
    .filter((each) => each !== "")
    .join(", ");
}

function timersText(core: CoreEntry | undefined): string {
  const timers = core?.tc?.timers;
  if (timers === undefined) return "";
  const armed = [timers.real, timers.virt, timers.prof].filter(
    ({ vsec, vusec }) => vsec !== 0n || vusec !== 0n,
  ).length;
  return [
    armed > 0 ? `${armed} of setitimer(2)` : "",
    timers.posix.length > 0 ? `${timers.posix.length} of timer_create(2)` : "",
  ]
    .filter((each) => each !== "")
    .join(", ");
}

type Ids = NonNullable<CoreEntry["ids"]>;

/** The namespaces that are not those of whoever dumped. */
function namespacesText(ids: Ids, outside: Ids | undefined): string {
  const kinds = ["pid", "net", "ipc", "uts", "mnt", "user", "cgroup", "time"] as const;
  const own = kinds.flatMap((kind) => {
    const id = ids[`${kind}_ns_id`];
    return id === undefined || id === outside?.[`${kind}_ns_id`] ? [] : [`${kind} ${id}`];
  });
  return own.join(", ");
}

function threadTable(threads: readonly Thread[], process: Process, path: (id: number) => string): Markup {
  const rows = threads.map(({ tid, core }): Part[] => [
    tid,
    core?.thread_core?.comm ?? core?.tc?.comm ?? "",
    schedulingText(core),
    core?.thread_core?.signals_p?.signals.length || "",
    html`<span class="mono">${placeOf(core, process, path)}</span>`,
  ]);
  return table(
    [number("Tid"), text("Name"), text("Scheduling"), number("Pending"), text("Stands in")],
    rows,
    1000,
  );
}

/** The file that a thread's instruction is in, and where in it. */
function placeOf(core: CoreEntry | undefined, { memory }: Process, path: (id: number) => string): string {
  const ip = core?.thread_info?.gpregs.ip ?? core?.ti_aarch64?.gpregs.pc;
  if (ip === undefined) return "";
  const vma = memory?.mm.vmas.find(({ start, end }) => start <= ip && ip < end);
  const name = vma === undefined ? "" : path(Number(vma.shmid)).replace(/.*\//, "");
  return vma === undefined || name === ""
    ? `0x${ip.toString(16)}`
    : `${name}+0x${(ip - vma.start + vma.pgoff).toString(16)}`;
}

function descriptorTable({ pid, descriptors }: Process, files: OpenFiles): Markup {
  const rows = descriptors.map(({ fd, id, flags }): Part[] => {
    const file = files.get(id);
    return [
      fd,
      file?.type ?? "",
      html`<span class="path">${file?.name ?? `file ${id}`}</span>`,
      [file?.details.join("; ") ?? "", flags & 1 ? "; close on exec" : ""],
      file?.waiting ? size(file.waiting) : "",
      othersText(file, pid),
    ];
  });
  return table(
    [
      number("Number"),
      text("Kind"),
      text("Name"),
      text("What is known"),
      number("Waiting"),
      text("Also had by"),
    ],
    rows,
    1000,
    "crit x DIR fds",
  );
}

function othersText(file: OpenFile | undefined, pid: number): Part {
  const others = new Set(file?.holders.map((holder) => holder.pid));
  others.delete(pid);
  return processLinks([...others]);
}
