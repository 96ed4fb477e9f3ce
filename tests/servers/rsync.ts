/** rsync: a daemon in the middle of transfers, of which every byte arrives. */
import { expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { stretch } from "./http.ts";
import type { ServerTest } from "./server.ts";

/** At the rate below they take longer than the test. */
const MEBIBYTES = 150;
const RATE = "10m";

export const rsync: ServerTest = {
  name: "rsync",
  needs: ["rsync"],
  plan(dir, port) {
    mkdirSync(join(dir, "files"));
    const part = stretch(0, 1 << 20);
    const large = Buffer.concat(Array.from({ length: MEBIBYTES }, (_, i) => part.subarray(i)));
    for (let i = 0; i < 2; i++) writeFileSync(join(dir, `files/large-${i}`), large.subarray(i));
    const lines = [`port = ${port}`, "address = 127.0.0.1", "use chroot = no", "uid = root", "gid = root"];
    writeFileSync(
      join(dir, "rsyncd.conf"),
      `${lines.join("\n")}\n[files]\npath = ${dir}/files\nread only = yes\n`,
    );
    return { command: `rsync --daemon --no-detach --config=${dir}/rsyncd.conf` };
  },
  async load(port, load, { dir }) {
    (await Connection.open(port)).close();
    for (let i = 0; i < 2; i++) {
      const to = join(dir, `copy-${i}`);
      const options = ["--whole-file", `--bwlimit=${RATE}`, "--timeout=60", "--info=progress2", "--outbuf=N"];
      const from = `rsync://127.0.0.1:${port}/files/large-${i}`;
      const transfer = Bun.spawn(["rsync", ...options, from, to], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const progress = transfer.stdout.getReader();
      const complaint = async () => `rsync: ${await new Response(transfer.stderr).text()}`;
      load.add(
        `transfer ${i}`,
        async () => {
          // It says where it is, all the time; at its end it says nothing any more.
          const { done } = await progress.read();
          if (done && (await transfer.exited) !== 0) throw new Error(await complaint());
        },
        async () => {
          while (!(await progress.read()).done);
          if ((await transfer.exited) !== 0) throw new Error(await complaint());
          const [one, other] = await Promise.all(
            [`${dir}/files/large-${i}`, to].map((path) => Bun.file(path).bytes()),
          );
          expect(Buffer.compare(one ?? Buffer.of(), other ?? Buffer.of(1))).toBe(0);
        },
      );
    }
    return async () => {};
  },
};
