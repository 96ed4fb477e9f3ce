/** A headless Chromium, driven by its debugging protocol over a socket of the loopback device. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linesOf } from "./lines.ts";
import { adoptOrphans, killAll, leaveToBun, processTree } from "./processes.ts";

const NAMES = ["chromium-headless-shell", "chromium", "chromium-shell"];

/** The program, where one is installed. */
export function chromium(): string | undefined {
  return NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? undefined;
}

export interface View {
  width: number;
  height: number;
  dark: boolean;
}

/** A page that is shown. */
export interface Page {
  /** What an expression comes to, which is evaluated in the page. */
  evaluate<T>(expression: string): Promise<T>;
  view(view: View): Promise<void>;
  /** A PNG of what is in view. */
  screenshot(): Promise<Buffer>;
  /** What the browser had to complain of. */
  complaints: string[];
}

export interface Browser {
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

interface Answer {
  id?: number;
  method?: string;
  params?: { entry?: { text: string }; exceptionDetails?: { text: string } };
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** One connection; commands are answered in any order. */
class Connection {
  readonly complaints: string[] = [];
  private next = 1;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private readonly loads: (() => void)[] = [];

  constructor(private readonly socket: WebSocket) {
    socket.onmessage = ({ data }) => this.take(JSON.parse(String(data)));
  }

  private take(answer: Answer): void {
    if (answer.id !== undefined) {
      this.waiting.get(answer.id)?.(answer);
      this.waiting.delete(answer.id);
    } else if (answer.method === "Page.loadEventFired") for (const done of this.loads.splice(0)) done();
    else if (answer.method === "Log.entryAdded") this.complaints.push(answer.params?.entry?.text ?? "?");
    else if (answer.method === "Runtime.exceptionThrown")
      this.complaints.push(answer.params?.exceptionDetails?.text ?? "?");
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = this.next++;
    this.socket.send(
      JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }),
    );
    return new Promise((resolve, reject) => {
      this.waiting.set(id, ({ result, error }) =>
        error === undefined ? resolve(result ?? {}) : reject(new Error(`${method}: ${error.message}`)),
      );
    });
  }

  loaded(): Promise<void> {
    return new Promise((resolve) => this.loads.push(resolve));
  }
}

/** @throws when it does not start */
export async function startBrowser(program: string): Promise<Browser> {
  adoptOrphans();
  const profile = mkdtempSync(join(tmpdir(), "criu-ts-browser-"));
  // As root it has no sandbox of its own; it sees nothing but our own page.
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
  ];
  const child = Bun.spawn([program, ...flags, `--user-data-dir=${profile}`, "about:blank"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  leaveToBun(child);
  const close = async () => {
    // Debian's program is a script that waits for the browser, which has children of its own.
    await killAll(processTree(child.pid));
    await child.exited;
    rmSync(profile, { recursive: true, force: true });
  };
  let url: string | undefined;
  for await (const line of linesOf(child.stderr)) {
    url = /DevTools listening on (ws:\S+)/.exec(line)?.[1];
    if (url !== undefined) break;
  }
  if (url === undefined) {
    await close();
    throw new Error(`${program} does not start`);
  }
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const connection = new Connection(socket);
  return {
    open: (address) => openPage(connection, address),
    close: async () => {
      socket.close();
      await close();
    },
  };
}

async function openPage(connection: Connection, url: string): Promise<Page> {
  const { targetId } = await connection.send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await connection.send("Target.attachToTarget", { targetId, flatten: true });
  const send = (method: string, params: object = {}) => connection.send(method, params, String(sessionId));
  await send("Log.enable");
  await send("Runtime.enable");
  await send("Page.enable");
  const loaded = connection.loaded();
  await send("Page.navigate", { url });
  await loaded;
  return {
    complaints: connection.complaints,
    evaluate: async <T>(expression: string) => {
      const { result, exceptionDetails } = await send("Runtime.evaluate", {
        expression,
        returnByValue: true,
      });
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { value: T }).value;
    },
    view: async ({ width, height, dark }) => {
      await send("Emulation.setDeviceMetricsOverride", {
        width,
        height,
        deviceScaleFactor: 1,
        mobile: false,
      });
      const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
      await send("Emulation.setEmulatedMedia", { features });
    },
    screenshot: async () => {
      const { data } = await send("Page.captureScreenshot", { format: "png" });
      return Buffer.from(String(data), "base64");
    },
  };
}
