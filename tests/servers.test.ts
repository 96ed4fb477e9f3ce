/**
 * Servers under load keep their promises: unmodified servers with clients connected, inside of the tree and outside, are dumped
 * and restored three times over. No connection ends, no answer is lost or comes twice, and the data are as they should be.
 *
 * SERVER=redis,nginx selects, SERVER=all takes all (`npm run test:servers`); SERVER_CYCLES=3; SERVER_KEEP keeps directories.
 */
import { expect, test } from "bun:test";
import { bun } from "./servers/bun.ts";
import { erlang } from "./servers/erlang.ts";
import { go } from "./servers/go.ts";
import { gunicorn } from "./servers/gunicorn.ts";
import { haproxy } from "./servers/haproxy.ts";
import { java } from "./servers/java.ts";
import { Load } from "./servers/load.ts";
import { mariadb } from "./servers/mariadb.ts";
import { memcached } from "./servers/memcached.ts";
import { mosquitto } from "./servers/mosquitto.ts";
import { nginx } from "./servers/nginx.ts";
import { node } from "./servers/node.ts";
import { postgres } from "./servers/postgres.ts";
import { python } from "./servers/python.ts";
import { redis } from "./servers/redis.ts";
import { rsync } from "./servers/rsync.ts";
import { Server, type ServerTest } from "./servers/server.ts";
import { ssh } from "./servers/ssh.ts";

const all: readonly ServerTest[] = [
  redis,
  memcached,
  nginx,
  node,
  bun,
  python,
  haproxy,
  gunicorn,
  mosquitto,
  java,
  go,
  ssh,
  rsync,
  postgres,
  mariadb,
  erlang,
];
/** Those that `npm test` runs. */
const USUAL = ["redis", "memcached", "nginx", "node"];

const cycles = Number(process.env.SERVER_CYCLES ?? 3);
const chosen = process.env.SERVER?.split(",") ?? USUAL;
const wanted = all.filter(({ name }) => chosen.includes("all") || chosen.includes(name));

for (const each of wanted) {
  const lacking = each.needs.filter((name) => Bun.which(name) === null);
  const why =
    process.getuid?.() !== 0 ? "needs root" : lacking.length > 0 ? `no ${lacking.join(", ")} here` : "";
  if (why !== "") console.log(`skipped: ${each.name}: ${why}`);
  test.skipIf(why !== "")(
    `${each.name}: dumped and restored ${cycles} times under load`,
    async () => {
      const server = await Server.start(each);
      const load = new Load();
      try {
        const check = await each.load(server.port, load, server);
        await load.goesOn(10);
        const times: string[] = [];
        for (let i = 0; i < cycles && load.failures.length === 0; i++) {
          times.push(await server.cycle());
          await load.goesOn(10);
        }
        const rounds = await load.stop();
        expect(load.failures).toEqual([]);
        if (server.isAsked) expect(await server.askInside()).toMatch(/^asked \d{2,}$/);
        await check();
        console.log(`${each.name}: ${rounds} rounds, dump/restore ${times.join(" ")} ms`);
      } catch (error) {
        console.log(`${each.name} printed: ${server.printed.slice(-2000)}`);
        throw error;
      } finally {
        await load.stop();
        await server.stop();
      }
    },
    300_000,
  );
}
