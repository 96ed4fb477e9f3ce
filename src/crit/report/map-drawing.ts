/** A memory drawn to scale: in one band what is mapped, in the other what of it is stored. */
import type { Memory } from "./checkpoint.ts";
import { bar, count, html, type Markup, number, size, table, text } from "./html.ts";
import { KINDS, type Kind, kindOf, nameOf, protectionOf } from "./mappings.ts";
import { noBytes, PIECES, PLACES, type Place } from "./stored.ts";

/** Of more mappings not each is drawn by itself. */
const MANY = 400;
/** How strong a piece is drawn of which a part is stored: in so many steps. */
const STEPS = 10;

const PLACE_NAMES: Readonly<Record<Place, string>> = {
  here: "stored here",
  parent: "in the images of the dump before",
  lazy: "left with the page server",
};

/** The name of a file by its id. */
export type PathOf = (id: number) => string;

export function drawMemory(memory: Memory, path: PathOf): Markup {
  const { stored, mapped, mm } = memory;
  if (mm.vmas.length === 0) return html`<p class="muted">No mappings.</p>`;
  const places = PLACES.filter((place) => stored.total[place] > 0);
  return html`<svg class="map" viewBox="0 0 ${PIECES} 46" preserveAspectRatio="none" role="img" aria-label="Memory map: ${count(mm.vmas.length)} mappings of ${size(mapped)}, ${size(stored.total.here)} stored">
${mm.vmas.length > MANY ? drawPieces(memory) : drawMappings(memory, path)}
<rect class="track" x="0" y="30" width="${PIECES}" height="16"/>
${places.map((place) => drawStored(memory, place))}</svg>
<p class="note">Above: ${count(mm.vmas.length)} mappings, ${size(mapped)}, one behind the other from low to high addresses; below: what of them is stored. What is narrower than a hair is in the table alone.</p>
<p class="legend">${KINDS.filter(({ key }) => mm.vmas.some((vma) => kindOf(vma, mm) === key)).map(({ key, name }) => swatch(key, name))}${places.map((place) => swatch(place, PLACE_NAMES[place]))}</p>`;
}

function swatch(kind: string, name: string): Markup {
  return html`<span><span class="swatch k-${kind}"></span>${name}</span>`;
}

function drawMappings({ mm, stored, mapped }: Memory, path: PathOf): Markup[] {
  const scale = PIECES / mapped;
  return mm.vmas.map((vma, n) => {
    const length = Number(vma.end - vma.start);
    const label = [protectionOf(vma), size(length), nameOf(vma, mm, path)].join(" ");
    return html`<rect class="k-${kindOf(vma, mm)}" x="${place((stored.begins[n] ?? 0) * scale)}" y="0" width="${place(length * scale)}" height="26"><title>${label}</title></rect>
`;
  });
}

function place(at: number): string {
  return at.toFixed(2);
}

/** Each piece in the colour of what most of it is. */
function drawPieces({ mm, stored, mapped }: Memory): Markup[] {
  const scale = PIECES / mapped;
  const most = new Float64Array(PIECES);
  const kinds: Kind[] = Array.from({ length: PIECES }, () => "kernel");
  mm.vmas.forEach((vma, n) => {
    const from = (stored.begins[n] ?? 0) * scale;
    const to = from + Number(vma.end - vma.start) * scale;
    const kind = kindOf(vma, mm);
    for (let piece = Math.floor(from); piece < Math.min(to, PIECES); piece++) {
      const part = Math.min(to, piece + 1) - Math.max(from, piece);
      if (part <= (most[piece] ?? 0)) continue;
      most[piece] = part;
      kinds[piece] = kind;
    }
  });
  return runsOf(kinds).map(
    ({ value, from, to }) =>
      html`<rect class="k-${value}" x="${from}" y="0" width="${to - from}" height="26"/>`,
  );
}

function drawStored({ stored }: Memory, place: Place): Markup[] {
  const strength = Array.from(stored.line.filled[place], (part) =>
    part > 0 ? Math.max(1, Math.round(part * STEPS)) : 0,
  );
  return runsOf(strength).flatMap(({ value, from, to }) =>
    value === 0
      ? []
      : html`<rect class="k-${place}" x="${from}" y="30" width="${to - from}" height="16" fill-opacity="${value / STEPS}"/>`,
  );
}

/** Equal neighbours together. */
function runsOf<T>(values: readonly T[]): { value: T; from: number; to: number }[] {
  const runs: { value: T; from: number; to: number }[] = [];
  values.forEach((value, n) => {
    const last = runs.at(-1);
    if (last?.value === value) last.to = n + 1;
    else runs.push({ value, from: n, to: n + 1 });
  });
  return runs;
}

/** How much there is of each kind. */
export function kindTable({ mm, stored, mapped }: Memory): Markup {
  const rows = KINDS.flatMap(({ key, name }) => {
    let mappings = 0;
    let length = 0;
    const bytes = noBytes();
    mm.vmas.forEach((vma, n) => {
      if (kindOf(vma, mm) !== key) return;
      mappings++;
      length += Number(vma.end - vma.start);
      for (const place of PLACES) bytes[place] += stored.ofVma[n]?.[place] ?? 0;
    });
    if (mappings === 0) return [];
    const elsewhere = bytes.parent + bytes.lazy;
    return [
      [
        html`<span class="short"><span class="swatch k-${key}"></span>${name}</span>`,
        count(mappings),
        size(length),
        bar(length, mapped, key),
        size(bytes.here),
        bar(bytes.here, length, "here"),
        elsewhere === 0 ? "" : size(elsewhere),
      ],
    ];
  });
  return table(
    [
      text("Kind"),
      number("Mappings"),
      number("Size"),
      text("Of all"),
      number("Stored"),
      text("Of the kind"),
      number("Elsewhere"),
    ],
    rows,
  );
}

export function mappingTable({ mm, stored }: Memory, path: PathOf): Markup {
  const rows = mm.vmas.map((vma, n) => {
    const length = Number(vma.end - vma.start);
    const here = stored.ofVma[n]?.here ?? 0;
    return [
      html`<span class="mono">${vma.start.toString(16)}-${vma.end.toString(16)}</span>`,
      html`<span class="mono">${protectionOf(vma)}</span>`,
      size(length),
      here === 0 ? "" : size(here),
      bar(here, length, "here"),
      html`<span class="path"><span class="swatch k-${kindOf(vma, mm)}"></span>${nameOf(vma, mm, path)}</span>${vma.pgoff === 0n ? "" : html` <span class="muted">from ${size(Number(vma.pgoff))}</span>`}`,
    ];
  });
  return table(
    [text("Addresses"), text("Access"), number("Size"), number("Stored"), text(""), text("What")],
    rows,
    1000,
    "crit x DIR mems",
  );
}
