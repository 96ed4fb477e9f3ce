/** HTML out of what strangers have named: nothing but what is written here is ever markup. */

/** Text that is markup. */
export class Markup {
  constructor(readonly text: string) {}
}

export type Part = string | number | bigint | Markup | undefined | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Characters that are not shown, or that turn text around, and halves of characters: a byte that is no UTF-8 is one. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text for a person: what could not be seen is written out. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    return code < 0x80
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

function escaped(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

function textOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.text;
  if (typeof part === "object") return part.map(textOf).join("");
  return escaped(String(part));
}

/** Markup with parts that are text, unless they are Markup themselves; lists one behind the other. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  let text = strings[0] ?? "";
  parts.forEach((part, n) => {
    text += textOf(part) + (strings[n + 1] ?? "");
  });
  return new Markup(text);
}

/** A column of a table. */
export interface Column {
  readonly name: string;
  /** Numbers stand at the right. */
  readonly number?: true;
}

export const text = (name: string): Column => ({ name });
export const number = (name: string): Column => ({ name, number: true });

/** A table that scrolls by itself where it is too wide. At most `most` rows: of the others is said how many there are. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Part[])[],
  most = 2000,
  rest = "",
): Markup {
  const heads = columns.map(
    ({ name, number }) => html`<th${number ? right : undefined} scope="col">${name}</th>`,
  );
  const body = rows.slice(0, most).map(
    (
      row,
    ) => html`<tr>${row.map((cell, n) => html`<td${columns[n]?.number ? right : undefined}>${cell}</td>`)}</tr>
`,
  );
  const left = rows.length - most;
  const note =
    left > 0
      ? html`<p class="note">And ${count(left)} more${rest === "" ? "" : `: see ${rest}`}.</p>`
      : undefined;
  return html`<div class="scroll"><table${columns.length <= 3 ? few : undefined}><thead><tr>${heads}</tr></thead><tbody>
${body}</tbody></table></div>${note}
`;
}

const right = new Markup(' class="num"');
/** Of few columns: as wide as it has to be. */
const few = new Markup(' class="few"');

/** A whole number with its thousands apart. */
export function count(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Bytes in a unit that makes them short. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Microseconds in a unit that makes them short. */
export function duration(microseconds: number): string {
  if (microseconds < 1000) return `${microseconds} µs`;
  const milliseconds = microseconds / 1000;
  if (milliseconds < 1000)
    return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

/** A bar that is `part` of `whole` long. */
export function bar(part: number, whole: number, kind = "plain"): Markup {
  const percent = whole > 0 ? Math.min(100, (100 * part) / whole) : 0;
  return html`<span class="bar"><span class="k-${kind}" style="width:${percent.toFixed(1)}%"></span></span>`;
}
