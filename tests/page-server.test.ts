/** Pages over the network: `criu page-server` takes what a dump or a pre-dump sends, from ours and from CRIU 4.2, which take ours. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { buildFixtures } from "./harness/build.ts";
import { cycle, type Fixture, restoreFixture, withFixture } from "./harness/fixture.ts";
import { processTree, waitGone } from "./harness/processes.ts";
import { dump, ourTool, peerTool, preDump, type Tool } from "./harness/tool.ts";
import { freePort } from "./servers/port.ts";

const NAME = "memory_written";
const MOST = 120_000;
const peer = peerTool();

beforeAll(() => buildFixtures([NAME]), 300_000);
afterAll(() => {
  if (peer === undefined) console.log("pages are not exchanged with the peer: CRIU_PEER names no CRIU 4.2");
});

const withWriter = (use: (fixture: Fixture) => Promise<void>) => withFixture(NAME, use);

interface Server {
  readonly port: number;
  /** Waits for its end. */
  ended(): Promise<number>;
  log(): string;
}

/** Starts a page server, and waits until it listens. */
async function serve(dir: string, tool: Tool, words: string[] = []): Promise<Server> {
  mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const child = Bun.spawn(
    [
      ...tool,
      "page-server",
      "-D",
      dir,
      "--address",
      "127.0.0.1",
      "--port",
      String(port),
      "-o",
      "server.log",
      "-v4",
      ...words,
    ],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  const listens = () =>
    new RegExp(`^ *\\d+: 0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} \\S+ 0A `, "m").test(
      readFileSync("/proc/net/tcp", "utf8"),
    );
  for (let i = 0; i < 500 && !listens(); i++) await Bun.sleep(10);
  return {
    port,
    ended: () => child.exited,
    log: () => readFileSync(join(dir, "server.log"), "utf8"),
  };
}

const to = ({ port }: Server) => ["--page-server", "--address", "127.0.0.1", "--port", String(port)];

/** What is in the client's directory, but its log and link, goes to where the pages are. */
function moveInto(from: string, into: string): void {
  for (const name of readdirSync(from))
    if (!existsSync(join(into, name)) && name !== "parent") renameSync(join(from, name), join(into, name));
}

async function dumpedTo(
  fixture: Fixture,
  server: Server,
  client: string,
  tool: Tool,
  more: string[] = [],
): Promise<void> {
  const members = processTree(fixture.pid);
  const outcome = await dump(fixture.pid, client, { tool, options: [...to(server), ...more] });
  if (outcome.exitCode !== 0) throw new Error(`${outcome.errors}\n${server.log()}`);
  expect(await server.ended()).toBe(0);
  expect(await waitGone(members)).toEqual([]);
  expect(readdirSync(client).filter((name) => name.startsWith("pages-"))).toEqual([]);
}

describe.each([
  ["ours", "ours", ourTool(), ourTool()],
  ["ours", "the peer's", ourTool(), peer],
  ["the peer's", "ours", peer, ourTool()],
])("the server is %s, the client %s", (_, __, server, client) => {
  test.skipIf(server === undefined || client === undefined)(
    "a dump",
    () =>
      withWriter(async (fixture) => {
        if (server === undefined || client === undefined) return;
        const [pages, others] = ["pages", "others"].map((name) => join(fixture.stateDir, name));
        if (pages === undefined || others === undefined) return;
        await dumpedTo(fixture, await serve(pages, server), others, client);
        moveInto(others, pages);
        const restored = await restoreFixture(fixture, pages);
        expect(restored.errors).not.toContain("Error (");
        expect(await fixture.finish()).toBe("PASS");
      }),
    MOST,
  );
});

describe.each([
  ["ours", ourTool()],
  ["the peer's", peer],
])("the server is %s", (_, tool) => {
  test.skipIf(tool === undefined)(
    "two pre-dumps and a dump, each on top of the one before",
    () =>
      withWriter(async (fixture) => {
        if (tool === undefined) return;
        const at = (name: string) => join(fixture.stateDir, name);
        let on: { server: string[]; client: string[] } = { server: [], client: [] };
        for (const round of [1, 2]) {
          const server = await serve(at(`pages-${round}`), tool, on.server);
          const outcome = await preDump(fixture.pid, at(`others-${round}`), {
            options: [...to(server), ...on.client],
          });
          if (outcome.exitCode !== 0) throw new Error(`${outcome.errors}\n${server.log()}`);
          expect(await server.ended()).toBe(0);
          on = {
            server: ["--prev-images-dir", `../pages-${round}`],
            client: ["--prev-images-dir", `../others-${round}`],
          };
        }
        await dumpedTo(
          fixture,
          await serve(at("pages-3"), tool, on.server),
          at("others-3"),
          ourTool(),
          on.client,
        );
        moveInto(at("others-3"), at("pages-3"));
        const size = (name: string) =>
          Bun.file(join(at(name), readdirSync(at(name)).find((file) => file.startsWith("pages-")) ?? ""))
            .size;
        expect(size("pages-1")).toBeGreaterThan(0);
        const restored = await restoreFixture(fixture, at("pages-3"));
        expect(restored.errors).not.toContain("Error (");
        expect(await fixture.finish()).toBe("PASS");
      }),
    MOST,
  );
});

test(
  "--ps-socket: a socket that is connected already",
  () =>
    withWriter(async (fixture) => {
      const [pages, others] = ["pages", "others"].map((name) => join(fixture.stateDir, name));
      if (pages === undefined || others === undefined) return;
      mkdirSync(pages);
      mkdirSync(others);
      // socat(1) would do; python is there for the plugins of tests anyway.
      const program = `
import os, socket, subprocess, sys
ours, theirs = socket.socketpair()
for each in ours, theirs: os.set_inheritable(each.fileno(), True)
tool = ${JSON.stringify(ourTool())}
server = subprocess.Popen(tool + ["page-server", "-D", ${JSON.stringify(pages)}, "--ps-socket", str(theirs.fileno()), "-o", "server.log"], close_fds=False)
client = subprocess.run(tool + ["dump", "-t", "${fixture.pid}", "-D", ${JSON.stringify(others)}, "--page-server", "--ps-socket", str(ours.fileno()), "-o", "dump.log"], close_fds=False)
sys.exit(client.returncode or server.wait())
`;
      const members = processTree(fixture.pid);
      expect(await Bun.spawn(["python3", "-c", program]).exited).toBe(0);
      expect(await waitGone(members)).toEqual([]);
      moveInto(others, pages);
      expect((await restoreFixture(fixture, pages)).errors).not.toContain("Error (");
      expect(await fixture.finish()).toBe("PASS");
    }),
  MOST,
);

describe("what goes wrong", () => {
  test(
    "no server is there, or it goes: the tree runs on",
    () =>
      withWriter(async (fixture) => {
        const dir = join(fixture.stateDir, "images");
        const nobody = await dump(fixture.pid, dir, {
          options: ["--page-server", "--address", "127.0.0.1", "--port", String(await freePort())],
        });
        expect(nobody.exitCode).toBe(1);
        expect(nobody.errors).toMatch(/cannot reach the page server at 127.0.0.1, port \d+: .*ECONNREFUSED/);
        const server = Bun.listen({
          hostname: "127.0.0.1",
          port: 0,
          socket: { data: (socket) => void socket.end() },
        });
        const gone = await dump(fixture.pid, dir, {
          options: ["--page-server", "--address", "127.0.0.1", "--port", String(server.port)],
        });
        server.stop(true);
        expect(gone.exitCode).toBe(1);
        expect(gone.errors).toMatch(/the page server has gone|EPIPE|ECONNRESET/);
        expect(readdirSync(dir)).not.toContain("inventory.img");
        for (const [words, said] of [
          [["--page-server"], /needs --address and --port/],
          [
            ["--page-server", "--address", "no.such.host", "--port", "1"],
            /no address, and no name of \/etc\/hosts/,
          ],
        ] as const) {
          const wrong = await dump(fixture.pid, dir, { options: [...words] });
          expect(wrong.errors).toMatch(said);
        }
        await cycle(fixture);
        expect(await fixture.finish()).toBe("PASS");
      }),
    MOST,
  );

  const word = (cmd: number, pages = 0n, address = 0n, dst = 0x101n) => {
    const bytes = Buffer.alloc(32);
    bytes.writeUInt32LE(cmd, 0);
    bytes.writeBigUInt64LE(pages, 8);
    bytes.writeBigUInt64LE(address, 16);
    bytes.writeBigUInt64LE(dst, 24);
    return bytes;
  };
  const ADD_F = (flags: number) => flags * 0x10000 + 6;
  const page = Buffer.alloc(4096);
  test.each([
    ["nothing", Buffer.alloc(0), /has gone before it was done/],
    ["half a word", Buffer.alloc(7), /has gone in the middle/],
    ["a command that is not known", word(99), /command 99 is not known/],
    ["a kind that is not known", word(4, 0n, 0n, 0x109n), /unknown kind: 0x109/],
    ["no pages", word(ADD_F(4)), /out of range/],
    ["an address that is not a page's", word(ADD_F(4), 1n, 12n), /out of range/],
    ["too many", word(ADD_F(4), 1n << 60n, 0x1000n), /out of range/],
    ["behind all addresses", word(ADD_F(4), 1n, (1n << 47n) - 4096n), /out of range/],
    ["flags that are not known", word(ADD_F(8), 1n, 0x1000n), /flags 0x8 are not known/],
    ["no flags", word(ADD_F(0), 1n, 0x1000n), /flags 0x0 are not known/],
    ["what no images before have", word(2, 1n, 0x1000n), /not in the images before/],
    [
      "the same twice",
      Buffer.concat([word(1, 1n, 0x1000n), page, word(1, 1n, 0x1000n)]),
      /not behind those before/,
    ],
    ["fewer bytes", Buffer.concat([word(1, 2n, 0x1000n), page]), /has gone in the middle/],
    ["pages without an end", Buffer.concat([word(1, 1n, 0x1000n), page]), /has gone before it was done/],
    ["pages on demand", word(7, 1n, 0x1000n), /command 7 is not known/],
  ])("the server is sent %s", async (_, bytes, said) => {
    const dir = join("/var/tmp", `criu-ts-page-server-${process.pid}`);
    const server = await serve(dir, ourTool());
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.end(bytes);
    expect(await server.ended()).toBe(1);
    socket.destroy();
    expect(
      server
        .log()
        .split("\n")
        .filter((line) => line.includes(" Error (")),
    ).toEqual([expect.stringMatching(said)]);
    expect(readdirSync(dir).filter((name) => name.startsWith("pagemap"))).toEqual([]);
    rmSync(dir, { recursive: true });
  });
});
