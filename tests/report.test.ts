/**
 * `crit report` in a real browser: nothing overflows on any screen, light or dark, the memory is drawn to scale, and the numbers
 * are those of `crit decode`. With REPORT_SHOTS naming a directory the screenshots stay there.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page, startBrowser } from "./harness/browser.ts";
import { buildFixtures } from "./harness/build.ts";
import { imagesOf } from "./harness/crit.ts";
import { type Fixture, leaveRunning, startFixture } from "./harness/fixture.ts";
import { ourTool } from "./harness/tool.ts";

/** A tree, threads, mappings without end, shared memory, pipes with data, files that are gone. */
const FIXTURES = ["pstree", "many_threads", "many_maps", "map_shared_anon", "pipe", "file_deleted"];
const SCREENS = [360, 800, 1400];

const program = chromium();
if (program === undefined)
  console.log("skipped: no Chromium (Debian's chromium-headless-shell) is installed");
const shots = process.env.REPORT_SHOTS;

interface Decoded {
  entries: Record<string, unknown>[];
}

function crit(...words: string[]): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...ourTool(), "crit", ...words]);
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
  return stdout.toString();
}

function decoded(dir: string, image: string): Decoded {
  return JSON.parse(crit("decode", "-i", join(dir, image)));
}

/** Pages that the pagemaps of a directory list as stored there. */
function storedPages(dir: string): number {
  const pagemaps = imagesOf(dir).filter((image) => image.startsWith("pagemap-"));
  const runs = pagemaps.flatMap((image) => decoded(dir, image).entries.slice(1));
  return runs
    .filter(({ flags }) => (Number(flags) & 4) !== 0)
    .reduce((sum, { nr_pages }) => sum + Number(nr_pages), 0);
}

/** What of the page is wider than the screen and does not scroll by itself. */
const TOO_WIDE = `
  [...document.querySelectorAll("body *")]
    .filter((element) => element.closest(".scroll") === null || element.matches(".scroll"))
    .filter((element) => element.getClientRects().length > 0 && element.getBoundingClientRect().right > innerWidth + 0.5)
    .map((element) => element.outerHTML.slice(0, 120))`;

/** The contrast of text and page (WCAG 2): of the main text, and of the palest. */
const CONTRAST = `(() => {
  const light = (rgb) => {
    const [r, g, b] = rgb.match(/[\\d.]+/g).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const of = (selector) => {
    const text = light(getComputedStyle(document.querySelector(selector)).color);
    return (Math.max(text, page) + 0.05) / (Math.min(text, page) + 0.05);
  };
  return { page, text: of("h1"), muted: of(".muted"), link: of("a") };
})()`;

async function judge(page: Page, name: string): Promise<void> {
  await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true");
  for (const dark of [false, true]) {
    for (const width of SCREENS) {
      await page.view({ width, height: 1000, dark });
      expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
      expect(await page.evaluate<string[]>(TOO_WIDE)).toEqual([]);
      const png = await page.screenshot();
      expect(png.length).toBeGreaterThan(10_000);
      if (shots === undefined) continue;
      mkdirSync(shots, { recursive: true });
      writeFileSync(join(shots, `${name}-${width}-${dark ? "dark" : "light"}.png`), png);
    }
    const contrast = await page.evaluate<{ page: number; text: number; muted: number; link: number }>(
      CONTRAST,
    );
    expect(contrast.page > 0.5).toBe(!dark);
    for (const ratio of [contrast.text, contrast.muted, contrast.link]) expect(ratio).toBeGreaterThan(4.5);
  }
  expect(page.complaints).toEqual([]);
  expect(await page.evaluate<number>("performance.getEntriesByType('resource').length")).toBe(0);
  expect(await page.evaluate<number>("document.scripts.length")).toBe(0);
  expect(await page.evaluate<string[]>("[...document.images].map((image) => image.src)")).toEqual([]);
}

describe.skipIf(program === undefined)("report", () => {
  let browser: Browser;
  const scratch = mkdtempSync(join(tmpdir(), "criu-ts-report-"));
  const show = async (dir: string, name: string): Promise<Page> => {
    const file = join(scratch, `${name}.html`);
    crit("report", dir, "-o", file);
    return browser.open(pathToFileURL(file).href);
  };
  const number = (page: Page, id: string) =>
    page.evaluate<number>(`Number(document.getElementById("${id}").getAttribute("value"))`);

  beforeAll(async () => {
    browser = await startBrowser(program ?? "");
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(scratch, { recursive: true });
  });

  describe.each(FIXTURES)("%s", (name) => {
    let fixture: Fixture;
    let dir: string;
    let page: Page;

    beforeAll(async () => {
      await buildFixtures([name]);
      fixture = await startFixture(name);
      dir = join(fixture.stateDir, "images");
      await leaveRunning(fixture, { imagesDir: dir });
      page = await show(dir, name);
    }, 120_000);
    afterAll(async () => {
      expect(await fixture.finish()).toBe("PASS");
      await fixture.stop();
    });

    test("looks right on every screen", () => judge(page, name), 60_000);

    test("has the numbers of crit", async () => {
      const tree = decoded(dir, "pstree.img").entries;
      const fdinfo = imagesOf(dir).filter((image) => image.startsWith("fdinfo-"));
      const pages = storedPages(dir);
      expect(await number(page, "processes")).toBe(tree.length);
      expect(await number(page, "threads")).toBe(
        tree.reduce((sum, { threads }) => sum + (threads as number[]).length, 0),
      );
      expect(await number(page, "pages")).toBe(pages);
      expect(await number(page, "stored")).toBe(pages * 4096);
      expect(await number(page, "files")).toBe(decoded(dir, "files.img").entries.length);
      // Tables of descriptors that processes share are counted for each.
      expect(await number(page, "descriptors")).toBeGreaterThanOrEqual(
        fdinfo.reduce((sum, image) => sum + decoded(dir, image).entries.length, 0),
      );
      const rows = await page.evaluate<string[]>(
        "[...document.querySelectorAll('#tree + .scroll tbody tr')].map((row) => row.cells[1].textContent)",
      );
      expect(rows.map(Number).sort()).toEqual(tree.map(({ pid }) => Number(pid)).sort());
    }, 60_000);

    test("draws the memory to scale", async () => {
      const { entries } = decoded(dir, `mm-${fixture.pid}.img`);
      const vmas = ((entries[0]?.vmas ?? []) as { start: number; end: number; status: number }[]).filter(
        ({ status }) => (status & 0x10000) === 0,
      );
      const lengths = vmas.map(({ start, end }) => end - start);
      const total = lengths.reduce((sum, length) => sum + length, 0);
      const widths = await page.evaluate<number[]>(
        `[...document.querySelectorAll('#p${fixture.pid} svg.map rect[y="0"]')].map((rect) => Number(rect.getAttribute("width")))`,
      );
      const width = widths.reduce((sum, each) => sum + each, 0);
      expect(Math.abs(width - 800)).toBeLessThan(0.01 * widths.length + 0.01);
      // Of very many mappings neighbours are drawn together.
      if (vmas.length <= 400) {
        expect(widths.length).toBe(vmas.length);
        widths.forEach((each, n) => {
          expect(Math.abs(each - ((lengths[n] ?? 0) * 800) / total)).toBeLessThanOrEqual(0.0051);
        });
      }
    });
  });

  test("what strangers named is text, and what is damaged is told", async () => {
    const dir = mkdtempSync(join(scratch, "strange-"));
    const put = (name: string, magic: string, ...entries: object[]) => {
      const json = JSON.stringify({ magic, entries });
      writeFileSync(join(dir, "json"), json);
      crit("encode", "-i", join(dir, "json"), "-o", join(dir, name));
    };
    const evil = `<script>document.title="evil"</script><img src=x onerror=alert(1)>"'&\u202eabc\u0007${"long".repeat(80)}`;
    const fown = { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: 0 };
    put(
      "pstree.img",
      "PSTREE",
      { pid: 1, ppid: 0, pgid: 1, sid: 1, threads: [1] },
      { pid: 2, ppid: 1, pgid: 1, sid: 1, threads: [2] },
    );
    const ids = { vm_id: 1, files_id: 1, fs_id: 1, sighand_id: 1 };
    put("core-1.img", "CORE", {
      mtype: "X86_64",
      tc: { task_state: 1, exit_code: 0, personality: 0, flags: 0, blk_sigset: 0, comm: evil },
      ids,
    });
    put("core-2.img", "CORE", { mtype: "X86_64", ids });
    put("fdinfo-1.img", "FDINFO", { id: 7, flags: 0, type: "REG", fd: 0 });
    put("files.img", "FILES", { type: "REG", id: 7, reg: { id: 7, flags: 0, pos: 0, fown, name: evil } });
    truncateSync(join(dir, "core-2.img"), 20);
    const page = await show(dir, "strange");
    await judge(page, "strange");
    expect(await page.evaluate<string>("document.title")).toStartWith("Checkpoint of <script>");
    expect(await page.evaluate<string>("document.querySelector('.problems').textContent")).toContain(
      "core-2.img",
    );
    expect(await page.evaluate<string>("document.querySelector('.problems').textContent")).toContain(
      "inventory.img",
    );
    const html = readFileSync(join(scratch, "strange.html"), "utf8");
    expect(html).not.toContain("<script>");
    expect(html).not.toContain("\u202e");
    expect(html).toContain("\\u202eabc\\x07");
  }, 60_000);
});
