/**
 * The package as a stranger gets it: packed, installed into an empty folder, the examples of docs/library.md and of the README run by Node
 * and by Bun, type-checked as strictly as can be.
 */
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

setDefaultTimeout(240_000);
const root = join(import.meta.dirname, "..");
const base = mkdtempSync(join(tmpdir(), "criu-ts-library-"));
const folder = join(base, "stranger");
const started = new Set<number>();
let programs = 0;

beforeAll(() => {
  const built = existsSync(join(root, "dist/criu"));
  must(["npm", "run", "--silent", built ? "build:lib" : "prepack"], root);
  must(["npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", base], root);
  const [packed] = readdirSync(base).filter((name) => name.endsWith(".tgz"));
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{"name":"stranger","type":"module","private":true}');
  must(
    ["npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", join(base, packed ?? "")],
    folder,
  );
});
afterAll(() => rmSync(base, { recursive: true, force: true }));
afterEach(() => {
  for (const pid of started) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
  started.clear();
});

function must(words: string[], cwd: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(words, { cwd });
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: ${exitCode}: ${stderr}${stdout}`);
  return stdout.toString();
}

/**
 * A program in the stranger's folder, run by a runtime; gives what it printed. We go on meanwhile, so that our children, when they
 * have ended, leave their numbers.
 */
async function run(runtime: string, program: string): Promise<string> {
  const name = `program-${programs++}.mjs`;
  writeFileSync(join(folder, name), program);
  const words = [runtime === "bun" ? process.execPath : runtime, name];
  const child = Bun.spawn(words, { cwd: folder, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [said, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")}: ${errors}${said}\n${program}`);
  return said;
}

/** A process that leads a session, and a directory, in the places of those in an example. */
function real(example: string): { program: string; child: ChildProcess; images: string } {
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore", cwd: "/" });
  if (child.pid !== undefined) started.add(child.pid);
  const images = mkdtempSync(join(base, "img-"));
  const program = example.replaceAll("1234", String(child.pid)).replaceAll("/var/tmp/img", images);
  return { program, child, images };
}

const documents = ["docs/library.md", "README.md"].flatMap((file) =>
  [...readFileSync(join(root, file), "utf8").matchAll(/```[jt]s\n(.*?)```/gs)].map(([, code = ""], i) => ({
    example: `${file}, example ${i + 1}`,
    code,
  })),
);

test("there are examples", () => {
  expect(documents.length).toBeGreaterThan(4);
});

for (const runtime of ["node", "bun"]) {
  for (const { example, code } of documents) {
    test(`${example}, by ${runtime}`, async () => {
      const { program } = real(code);
      await run(runtime, program);
    });
  }

  test(`a child of its own is saved and comes back, by ${runtime}`, async () => {
    const images = mkdtempSync(join(base, "img-"));
    const said = await run(
      runtime,
      `import { spawn } from "node:child_process";
      import { dump, exec, restore } from "criu-ts";
      const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore", cwd: "/" });
      const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal)));
      const saved = await dump({ tree: child.pid, imagesDir: ${JSON.stringify(images)} });
      console.log(saved.processes, saved.pid === child.pid, await ended);
      const { pid } = await restore({ imagesDir: ${JSON.stringify(images)}, restoreDetached: true });
      console.log(pid === child.pid, (await exec({ tree: pid }, "getpid")).result === pid);
      process.kill(pid, "SIGKILL");`,
    );
    expect(said).toBe("1 true SIGKILL\ntrue true\n");
  });

  test(`what is misspelt, failed or aborted changes nothing, by ${runtime}`, async () => {
    const { program, child } = real(`import { CriuError, dump, OptionError, preDump } from "criu-ts";
      const failing = async (work) => { try { await work(); return "nothing"; } catch (error) { return error; } };
      const options = { tree: 1234, imagesDir: "/var/tmp/img" };
      const misspelt = await failing(() => dump({ ...options, leaverunning: true }));
      console.log(misspelt instanceof OptionError, misspelt.message);
      const typed = await failing(() => dump({ ...options, leaveRunning: "yes" }));
      console.log(typed instanceof OptionError, typed.message);
      const other = await failing(() => dump({ ...options, restoreDetached: true }));
      console.log(other instanceof OptionError, other.message);
      const nowhere = await failing(() => dump({ ...options, imagesDir: "/nowhere/at/all" }));
      console.log(nowhere instanceof CriuError, nowhere.errno, nowhere.exitCode);
      const nobody = await failing(() => dump({ ...options, tree: 2 ** 22 - 1 }));
      console.log(nobody instanceof CriuError, nobody.errno);
      await preDump(options);
      console.log("pre-dumped");
      const aborting = new AbortController();
      const aborted = await failing(() => dump({ ...options, signal: aborting.signal,
        onEvent: (event) => { if (event.stage === "dump/frozen") aborting.abort(); } }));
      console.log(aborted.name);`);
    const said = (await run(runtime, program)).split("\n");
    expect(said.slice(0, 6)).toEqual([
      "true unknown option leaverunning; leaveRunning is meant, perhaps",
      'true the option leaveRunning takes true or false, not "yes"',
      "true the option restoreDetached means nothing to dump",
      "true ENOENT 1",
      "true ESRCH",
      "pre-dumped",
    ]);
    // Where it had gone too far to be taken back, it has been finished.
    if (said[6] === "AbortError") expect(child.exitCode ?? child.signalCode).toBeNull();
    expect(child.exitCode).toBeNull();
  });
}

test("types are good for the strict", () => {
  writeFileSync(
    join(folder, "typed.mts"),
    `import { check, type CriuError, dump, type Event, exec, IMAGES, type Plugin, readImages, restore } from "criu-ts";
    const { processes }: { processes: number } = await dump({ tree: 1, imagesDir: "/", leaveRunning: true, ghostLimit: 5,
      onEvent(event: Event) { if (event.kind === "failure") event.failure.errno?.toUpperCase(); } });
    // @ts-expect-error: misspelt
    await restore({ imagesDir: "/", restoredetached: true });
    const comm: string | undefined = readImages("/").readOne(IMAGES.core, processes).tc?.comm;
    const plugin: Plugin = { name: "mine" };
    export { check, comm, type CriuError, exec, plugin };`,
  );
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        module: "nodenext",
        target: "es2023",
        lib: ["ES2024", "DOM", "ESNext.Disposable"],
        types: [],
        noEmit: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
      },
      files: ["typed.mts"],
    }),
  );
  must([join(root, "node_modules/.bin/tsc"), "-p", folder], folder);
});

test("both executables are installed", () => {
  const bins = join(folder, "node_modules/.bin");
  expect(must([join(bins, "criu"), "--version"], folder)).toStartWith("Version:");
  expect(must([join(bins, "crit"), "--help"], folder)).toContain("crit");
});
