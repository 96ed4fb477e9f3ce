/** The lower part of the page: what processes share, what surrounds them, and the files on disk. */
import { fileName, IMAGES } from "../../images/kinds.ts";
import { Fstype, NdType } from "../../images/schema/generated/namespaces.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { bar, count, html, type Markup, number, type Part, size, table, text } from "./html.ts";
import type { Holder, OpenFile, OpenFiles } from "./open-files.ts";
import type { SharedMemory } from "./shared-memory.ts";

const FEW = 12;

/** Links to the sections of processes. */
export function processLinks(pids: readonly number[]): Part {
  const some = pids.slice(0, FEW).map((pid, n) => html`${n > 0 ? ", " : ""}<a href="#p${pid}">${pid}</a>`);
  return [some, pids.length > FEW ? ` and ${count(pids.length - FEW)} more` : ""];
}

/** Who has a file, by process. */
function holdersText(holders: readonly Holder[]): Part {
  const byPid = [...Map.groupBy(holders, ({ pid }) => pid)];
  const some = byPid.slice(0, FEW).map(([pid, list], n) => {
    const as = list.map((holder) => holder.as);
    const shown = as.length > FEW ? `${as.slice(0, FEW).join(" ")} …` : as.join(" ");
    return html`${n > 0 ? "; " : ""}<a href="#p${pid}">${pid}</a>: ${shown}`;
  });
  return [some, byPid.length > FEW ? `; and ${count(byPid.length - FEW)} more` : ""];
}

export function fileSection(files: OpenFiles): Markup {
  const order = (file: OpenFile) => -new Set(file.holders.map(({ pid }) => pid)).size;
  const rows = files.all
    .map((file) => ({ file, order: order(file) }))
    .sort((a, b) => a.order - b.order || a.file.id - b.file.id)
    .map(({ file }): Part[] => [
      file.id,
      file.type,
      html`<span class="path">${file.name}</span>`,
      file.details.join("; "),
      file.waiting ? size(file.waiting) : "",
      holdersText(file.holders),
    ]);
  return html`<h2 id="files">Open files and who has them</h2>
<p class="note">Each open file description once, those of most processes first. Numbers are those of descriptors.</p>
${table(
  [number("Id"), text("Kind"), text("Name"), text("What is known"), number("Waiting"), text("Who has it")],
  rows,
  3000,
  "crit x DIR fds",
)}`;
}

export function connectionSection(files: OpenFiles): Markup | undefined {
  const connections = files.connections();
  if (connections.length === 0) return undefined;
  const rows = connections.map(([link, ends]): Part[] => [
    html`<span class="path">${link}</span>`,
    ends.map((end, n) => html`${n > 0 ? br : ""}${end.details.join(", ")} — ${holdersText(end.holders)}`),
    size(Math.max(...ends.map(({ waiting }) => waiting ?? 0))),
  ]);
  return html`<h2 id="connections">Pipes and sockets, end to end</h2>
${table([text("What"), text("Its ends, and who has them"), number("Waiting")], rows, 2000)}`;
}

const br = html`<br>`;

export function sharedSection(shared: readonly SharedMemory[]): Markup | undefined {
  if (shared.length === 0) return undefined;
  const rows = shared.map(({ id, length, name, pids, total }): Part[] => [
    id,
    name,
    size(length),
    total === undefined ? "" : size(total.here),
    bar(total?.here ?? 0, length, "here"),
    processLinks(pids),
  ]);
  const columns = [
    number("Id"),
    text("What"),
    number("Size"),
    number("Stored"),
    text(""),
    text("Who has it"),
  ];
  return html`<h2 id="shared">Shared memory</h2>
${table(columns, rows)}`;
}

function nameIn(values: Readonly<Record<string, number>>, value: number): string {
  return (
    Object.entries(values)
      .find(([, number]) => number === value)?.[0]
      .toLowerCase() ?? String(value)
  );
}

export function namespaceSections(checkpoint: Checkpoint): Markup[] {
  const mounts = checkpoint
    .numbersOf(IMAGES.mnts)
    .flatMap((id) =>
      checkpoint
        .all(IMAGES.mnts, id)
        .map((mount): Part[] => [
          id,
          html`<span class="path">${mount.mountpoint}</span>`,
          mount.fsname ?? nameIn(Fstype, mount.fstype),
          mount.source,
          mount.root,
          html`<span class="path">${mount.options}</span>`,
        ]),
    );
  const devices = checkpoint
    .numbersOf(IMAGES.netdev)
    .flatMap((id) =>
      checkpoint
        .all(IMAGES.netdev, id)
        .map((device): Part[] => [id, device.name, nameIn(NdType, device.type), device.ifindex, device.mtu]),
    );
  const names = checkpoint.numbersOf(IMAGES.utsns).flatMap((id) => {
    const uts = checkpoint.one(IMAGES.utsns, id);
    return uts === undefined ? [] : [[id, uts.nodename, uts.domainname]];
  });
  return [
    section(
      "mounts",
      "Mounts",
      table(
        [number("Namespace"), text("At"), text("Type"), text("Source"), text("Its root"), text("Options")],
        mounts,
      ),
      mounts,
    ),
    section(
      "devices",
      "Network devices",
      table([number("Namespace"), text("Name"), text("Type"), number("Index"), number("MTU")], devices),
      devices,
    ),
    section("names", "Host names", table([number("Namespace"), text("Name"), text("Domain")], names), names),
  ].flatMap((each) => each ?? []);
}

function section(id: string, title: string, content: Markup, rows: readonly unknown[]): Markup | undefined {
  return rows.length === 0 ? undefined : html`<h2 id="${id}">${title}</h2>${content}`;
}

export function imageSection({ files, hasParent }: Checkpoint): Markup {
  const largest = Math.max(0, ...files.map(({ size }) => size));
  const rows = files.map(({ name, size: bytes, stored }): Part[] => [
    html`<span class="mono">${name}</span>`,
    size(bytes),
    stored < bytes ? size(stored) : "",
    bar(bytes, largest),
  ]);
  return html`<h2 id="images-on-disk">Files of the checkpoint</h2>
${hasParent ? html`<p class="note">It stands on a dump before it, by the link <code>parent</code>.</p>` : undefined}
${table([text("File"), number("Size"), number("On disk"), text("")], rows, 500)}`;
}

/** Whether nothing was found wrong: said at the top of the page. */
export function problemSection({ problems }: Checkpoint): Markup | undefined {
  if (problems.length === 0) return undefined;
  const some = problems.slice(0, 50);
  return html`<div class="problems"><strong>Not all of it can be read</strong><ul>${some.map((problem) => html`<li>${problem}</li>`)}</ul>${problems.length > some.length ? html`<p>And ${count(problems.length - some.length)} more.</p>` : undefined}</div>`;
}

/** What `inventory.img` says of the whole. */
export function inventoryText({ inventory }: Checkpoint): string {
  if (inventory === undefined) return `no ${fileName(IMAGES.inventory)}: the dump did not come to its end`;
  const parts = [`images of version ${inventory.img_version}`];
  if (inventory.lsmtype === 1) parts.push("SELinux");
  if (inventory.lsmtype === 2) parts.push("AppArmor");
  if (inventory.compress) parts.push("compressed pages");
  if (inventory.tcp_close) parts.push("TCP connections closed");
  return parts.join(", ");
}
