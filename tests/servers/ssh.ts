/** OpenSSH: sessions on the loopback that are open, and talk. */
import { expect } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ServerTest } from "./server.ts";

export const ssh: ServerTest = {
  name: "ssh",
  needs: ["/usr/sbin/sshd", "ssh", "ssh-keygen"],
  plan(dir, port) {
    for (const name of ["host", "user"])
      Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(dir, name)]);
    mkdirSync("/run/sshd", { recursive: true });
    writeFileSync(join(dir, "authorized"), readFileSync(join(dir, "user.pub")));
    const lines = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${dir}/host`,
      `AuthorizedKeysFile ${dir}/authorized`,
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin yes",
      `PidFile ${dir}/sshd.pid`,
    ];
    writeFileSync(join(dir, "sshd.conf"), `${lines.join("\n")}\n`);
    return { command: `/usr/sbin/sshd -D -e -f ${dir}/sshd.conf` };
  },
  async load(port, load, { dir }) {
    for (let i = 0; i < 3; i++) {
      const options = [
        "StrictHostKeyChecking=no",
        `UserKnownHostsFile=${dir}/known`,
        "ConnectionAttempts=50",
      ];
      const command = [
        "ssh",
        "-p",
        String(port),
        "-i",
        join(dir, "user"),
        ...options.flatMap((o) => ["-o", o]),
      ];
      const session = Bun.spawn([...command, "root@127.0.0.1", "cat"], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "ignore",
      });
      const reader = session.stdout.getReader();
      let pending = "";
      const line = async (): Promise<string> => {
        while (!pending.includes("\n")) {
          const { value, done } = await reader.read();
          if (done) throw new Error("the session has ended");
          pending += new TextDecoder("latin1").decode(value);
        }
        const at = pending.indexOf("\n");
        const text = pending.slice(0, at);
        pending = pending.slice(at + 1);
        return text;
      };
      load.add(
        `session ${i}`,
        async (round) => {
          const text = `line ${round} ${"x".repeat((round * 97) % 3000)}`;
          session.stdin.write(`${text}\n`);
          session.stdin.flush();
          expect(await line()).toBe(text);
        },
        async () => {
          session.stdin.end();
          expect(await session.exited).toBe(0);
        },
      );
    }
    return async () => {};
  },
};
