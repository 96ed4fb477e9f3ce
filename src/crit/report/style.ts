/** How the page looks: by itself, light or dark as the reader has it, on a narrow screen and on paper. */

const COLOURS = {
  light: {
    page: "#fbfbfa",
    card: "#ffffff",
    text: "#1c1e21",
    muted: "#5c626b",
    line: "#dfe1e5",
    track: "#eceef1",
    link: "#1a5fb4",
    warn: "#9a3412",
    code: "#4269d0",
    file: "#97bbf5",
    "file-shared": "#3ca951",
    heap: "#efb118",
    anon: "#f58bb0",
    stack: "#a463f2",
    shared: "#4fb3a0",
    kernel: "#9498a0",
    here: "#0b7285",
    parent: "#e8890c",
    lazy: "#c2255c",
    plain: "#6d7f99",
  },
  dark: {
    page: "#15171a",
    card: "#1d2024",
    text: "#e7e9ec",
    muted: "#a2a9b3",
    line: "#343941",
    track: "#2a2e35",
    link: "#8ab4f8",
    warn: "#fdba74",
    code: "#6b8ae8",
    file: "#4b6ea8",
    "file-shared": "#4fbf67",
    heap: "#d9a21b",
    anon: "#d96a98",
    stack: "#b583f5",
    shared: "#4fa893",
    kernel: "#757b86",
    here: "#3bc9db",
    parent: "#ffb454",
    lazy: "#f783ac",
    plain: "#8496b0",
  },
} as const;

function variables(colours: Readonly<Record<string, string>>): string {
  return Object.entries(colours)
    .map(([name, value]) => `--${name}:${value}`)
    .join(";");
}

/** Colours that things are drawn in, by the end of their class `k-`. */
const DRAWN = [
  ...["code", "file", "file-shared", "heap", "anon", "stack", "shared", "kernel"],
  ...["here", "parent", "lazy", "plain"],
];

export const STYLE = `
:root{color-scheme:light dark;${variables(COLOURS.light)}}
@media (prefers-color-scheme:dark){:root{${variables(COLOURS.dark)}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:76rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.6rem;line-height:1.25;margin:0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.5rem 0 .6rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.3rem 0}
a{color:var(--link)}
code,.mono{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.87em;overflow-wrap:anywhere}
.note,.muted{color:var(--muted)}
.note{font-size:.87rem}
.problems{border:1px solid var(--warn);color:var(--warn);border-radius:.5rem;padding:.6rem 1rem;margin:1rem 0}
.problems ul{margin:.3rem 0;padding-left:1.2rem;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.4rem,1fr));gap:.6rem;margin:1.2rem 0 0}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .8rem}
.tiles dt{color:var(--muted);font-size:.8rem}
.tiles dd{margin:0;font-size:1.25rem;font-weight:600}
.scroll{overflow-x:auto;margin:.4rem 0}
table{border-collapse:collapse;width:100%;font-size:.87rem}
.few{width:auto}
.few td,.few th{padding-right:1.6rem}
th,td{text-align:left;vertical-align:top;padding:.22rem .7rem .22rem 0;border-bottom:1px solid var(--line)}
th{color:var(--muted);font-weight:500;white-space:nowrap}
td{overflow-wrap:break-word}
.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td .mono{white-space:nowrap}
.path{display:block;min-width:14rem;overflow-wrap:anywhere}
.bar{display:inline-block;width:7rem;height:.65rem;background:var(--track);border-radius:2px;overflow:hidden;vertical-align:middle}
.bar span{display:block;height:100%;background:var(--plain)}
.wide{width:100%}
.keys{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1rem;margin:.4rem 0;font-size:.9rem}
.keys dt{color:var(--muted)}
.keys dd{margin:0;overflow-wrap:anywhere}
details{background:var(--card);border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;padding:.5rem .9rem}
summary{cursor:pointer;font-weight:600;overflow-wrap:anywhere}
details details{background:none;border:none;padding:0}
.map{display:block;width:100%;height:3.4rem;margin:.5rem 0 .2rem}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.82rem;color:var(--muted);margin:.3rem 0}
.swatch{display:inline-block;width:.75rem;height:.75rem;border-radius:2px;margin-right:.35rem;vertical-align:-.05rem}
.track{fill:var(--track)}
.short{white-space:nowrap}
${DRAWN.map((kind) => `.k-${kind}{fill:var(--${kind})}span.k-${kind}{background:var(--${kind})}`).join("\n")}
@media print{body{background:none}details{break-inside:avoid}}
`;
