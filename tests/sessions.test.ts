/**
 * Programs that people sit before, unmodified: shells, editors, terminals' multiplexers, interpreters, builds. Each is
 * dumped and restored three times in the middle of something, and must go on as if nothing had been.
 *
 * SESSION=bash,vim selects, SESSION=all takes all (`npm run test:programs`); SESSION_KEEP keeps directories.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { patience } from "./harness/patience.ts";
import { sessions } from "./sessions/list.ts";
import { Session } from "./sessions/session.ts";

/** Those that `npm test` runs. */
const USUAL = ["bash", "tmux", "top", "sqlite", "node", "make"];

const chosen = process.env.SESSION?.split(",") ?? USUAL;
let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "criu-ts-sessions-"));
});
afterAll(() => {
  if (process.env.SESSION_KEEP === undefined) rmSync(dir, { recursive: true, force: true });
});

for (const each of sessions) {
  if (!chosen.includes(each.name) && !chosen.includes("all")) continue;
  const lacking = each.needs.filter((name) => Bun.which(name) === null);
  const why =
    process.getuid?.() !== 0 ? "needs root" : lacking.length > 0 ? `no ${lacking.join(", ")} here` : "";
  if (why !== "") console.log(`skipped: ${each.name}: ${why}`);
  test.skipIf(why !== "")(
    `${each.name}: three times dumped and restored`,
    async () => {
      const session = await Session.start(join(dir, each.name), each.command, each);
      try {
        await each.play(session);
        console.log(`${each.name}: dump/restore ${session.times.join(" ")} ms`);
        expect(session.times.length).toBe(3);
      } finally {
        await session.stop();
      }
    },
    patience(180_000),
  );
}
