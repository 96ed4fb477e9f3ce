/** nginx: several workers, connections that are kept open, large files half sent to clients that are slow. */
import { expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "./connection.ts";
import { Download, fetchText, head, request, stretch } from "./http.ts";
import type { ServerTest } from "./server.ts";

const PERIOD = 1 << 20;

function configuration(dir: string, port: number, address: string): string {
  return `
daemon off;
user root;
worker_processes 3;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log info;
events { worker_connections 256; }
http {
  access_log ${dir}/access.log;
  keepalive_requests 1000000;
  client_body_temp_path ${dir}/temp;
  proxy_temp_path ${dir}/temp;
  fastcgi_temp_path ${dir}/temp;
  uwsgi_temp_path ${dir}/temp;
  scgi_temp_path ${dir}/temp;
  server {
    listen ${address}:${port} reuseport;
    root ${dir}/files;
    location /echo { return 200 "$args\\n"; }
  }
}
`;
}

export const nginx: ServerTest = {
  name: "nginx",
  needs: ["nginx"],
  plan(dir, port, address) {
    mkdirSync(join(dir, "files"));
    mkdirSync(join(dir, "temp"));
    const part = stretch(0, PERIOD);
    writeFileSync(join(dir, "files/large"), Buffer.concat(Array.from({ length: 64 }, () => part)));
    writeFileSync(join(dir, "nginx.conf"), configuration(dir, port, address));
    return {
      command: `nginx -e ${dir}/error.log -c ${dir}/nginx.conf`,
      inside: {
        question: "GET /echo?inside-%ld HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n",
        answer: "\\r\\n\\r\\ninside-%ld\\n",
      },
    };
  },
  async load(port, load) {
    for (let i = 0; i < 8; i++) {
      const connection = await Connection.open(port);
      load.add(`kept open ${i}`, async (round) => {
        expect(await fetchText(connection, `/echo?${i}-${round}`)).toBe(`${i}-${round}\n`);
      });
    }
    for (let i = 0; i < 2; i++) {
      const connection = await Connection.open(port);
      request(connection, "/large");
      expect((await head(connection)).headers.get("content-length")).toBe(String(64 * PERIOD));
      const download = new Download(connection, PERIOD, 20_011);
      load.add(`download ${i}`, async () => {
        await download.round();
        await Bun.sleep(5);
      });
    }
    return async () => {};
  },
};
