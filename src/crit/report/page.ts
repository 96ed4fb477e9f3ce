/**
 * `crit report`: one page that shows a checkpoint to a person. It needs no network and no script, and everything in it that was
 * named by others is text.
 */
import { textToBytes } from "../../linux/text.ts";
import { CRIU_VERSION, VERSION } from "../../version.ts";
import { Output } from "../output.ts";
import { Checkpoint } from "./checkpoint.ts";
import { html, type Markup } from "./html.ts";
import { OpenFiles } from "./open-files.ts";
import {
  connectionSection,
  fileSection,
  imageSection,
  inventoryText,
  namespaceSections,
  problemSection,
  sharedSection,
} from "./other-sections.ts";
import { tiles, times, tree } from "./overview.ts";
import { processSection } from "./process-section.ts";
import { sharedMemory } from "./shared-memory.ts";
import { STYLE } from "./style.ts";

/** So many processes are shown with all they have at once; of more, one opens those that one wants to see. */
const OPEN_AT_ONCE = 6;
/** Of more processes there are no sections: a browser would not bear it. */
const MOST_SECTIONS = 3000;

export interface ReportRequest {
  readonly dir: string;
  /** Standard output where there is no path. */
  readonly out: string | undefined;
}

/** @throws ImageError where there is no directory @throws KernelError where the page cannot be written */
export function report(request: ReportRequest): void {
  const checkpoint = new Checkpoint(request.dir);
  using out = Output.to(request.out);
  for (const { text } of parts(checkpoint)) out.bytes(textToBytes(text));
  out.finish();
}

function* parts(checkpoint: Checkpoint): Generator<Markup> {
  const files = new OpenFiles(checkpoint);
  const { processes } = checkpoint;
  const root = processes[0];
  const title = root === undefined ? "Checkpoint" : `Checkpoint of ${root.comm} (${root.pid})`;
  yield html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title><style>`;
  yield { text: STYLE };
  // Made before the top of the page, which tells of what cannot be read.
  const shared = sharedMemory(checkpoint, files);
  const lower = [
    connectionSection(files),
    fileSection(files),
    sharedSection(shared),
    ...namespaceSections(checkpoint),
    imageSection(checkpoint),
  ];
  yield html`</style></head><body><main>
<h1>${title}</h1>
<p class="muted">${[writtenText(checkpoint.writtenAt), inventoryText(checkpoint), `in ${checkpoint.path}`].filter((each) => each !== "").join(" · ")}</p>
${problemSection(checkpoint)}${tiles(checkpoint, files, shared)}${times(checkpoint)}${tree(checkpoint)}`;
  for (const process of processes.slice(0, MOST_SECTIONS)) {
    yield processSection(process, checkpoint, files, processes.length <= OPEN_AT_ONCE);
  }
  for (const part of lower) if (part !== undefined) yield part;
  yield html`<p class="note">Made by crit ${CRIU_VERSION} (criu-ts ${VERSION}).</p></main></body></html>
`;
}

/** A time in UTC, to the second. */
function writtenText(seconds: number | undefined): string {
  if (seconds === undefined) return "";
  return `written ${new Date(seconds * 1000)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC")}`;
}
