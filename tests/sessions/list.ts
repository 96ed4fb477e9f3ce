/** The programs, what is typed, and what must come of it. */

import { expect } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { processState } from "../harness/processes.ts";
import type { Session, SessionOptions } from "./session.ts";

export interface SessionTest extends SessionOptions {
  readonly name: string;
  /** Executables that must be found; the set-up installs them. */
  readonly needs: readonly string[];
  /** A shell's command, run in an empty directory. `$SESSIONS` is the directory of this file. */
  readonly command: string;
  /** Types, calls `cycle` three times, and looks. */
  play(session: Session): Promise<void>;
}

/** Programs that tell of their rounds, and check each: "round N". They say "end: N rounds" when a line is typed. */
async function rounds(session: Session): Promise<void> {
  let last = 0;
  const round = async () => Number((await session.shows(/round (\d+)\n/))[1]);
  for (let i = 0; i < 3; i++) {
    for (const from = last; last < from + 3; ) last = await round();
    await session.cycle();
  }
  for (const from = last; last < from + 5; ) last = await round();
  await session.answers("end\r", /end: \d+ rounds/);
  const told = [...session.screen.matchAll(/round (\d+)\n/g)].map(([, number]) => Number(number));
  expect(told).toEqual(told.map((_, at) => at + 1));
  await session.ends();
}

export const sessions: readonly SessionTest[] = [
  {
    name: "bash",
    needs: ["bash"],
    command: "PS1='ready> ' exec bash --norc -i",
    async play(session) {
      await session.shows("ready> ");
      session.put("count.sh", 'for ((i = 0; ; i++)); do echo $i >>"$1"; sleep 0.05; done');
      await session.answers("x=5; f() { echo fun$((x*x)); }; set -o vi\r", "ready> ");
      await session.answers("bash count.sh back & sleep 1000\r", /\[1\] \d+/);
      // A key that comes before it has the terminal is the shell's.
      await session.runs("sleep 1000");
      await session.answers("\x1a", "Stopped");
      session.type("cat >typed\r");
      await session.runs("cat");
      await session.answers("first\r", "first");
      await session.cycle();
      // cat is in the foreground; the terminal's own editing and signals must work.
      await session.answers("secind\x7f\x7f\x7fond\r", "ond");
      await session.answers("\x04", "ready> ");
      await session.answers("echo shell$((x+1))\r", "shell6");
      if (session.file("typed") !== "first\nsecond\n") throw new Error(`typed: ${session.file("typed")}`);
      await session.answers("jobs; f\r", /Running.*Stopped.*fun25/s);
      await session.answers("read -e -p 'what? ' word\r", "what? ");
      session.type("half");
      await session.cycle();
      await session.answers("way\r", "ready> ");
      await session.answers('echo "<$word>"\r', "<halfway>");
      session.type("%2\r");
      await session.until("sleep goes on", () =>
        session.processes("sleep 1000").every((pid) => processState(pid) === "S"),
      );
      await session.cycle();
      await session.answers("\x03", "ready> ");
      const length = session.file("back").length;
      await session.until("the job in the background goes on", () => session.file("back").length > length);
      await session.answers("kill %1; wait; echo gone$((x+2))\r", "gone7");
      const lines = session.file("back").trim().split("\n");
      if (lines.some((line, at) => Number(line) !== at)) throw new Error("the job has lost count");
      session.type("exit 3\r");
      await session.ends(3);
    },
  },
  {
    name: "tmux",
    needs: ["tmux", "vim"],
    command: `echo "set -g default-command \\"PS1='ready> ' bash --norc\\"" >conf
      # Else what comes at a machine's speed is taken for pasted text, without keys of tmux's own.
      echo "set -g assume-paste-time 0" >>conf
      tmux -f conf -S socket; PS1='outside> ' exec bash --norc -i`,
    async play(session) {
      await session.shows("ready> ");
      session.type("vim -u NONE -N text\r");
      await session.runs("vim");
      await session.answers("ihello", "INSERT");
      await session.answers("\x02%", "ready> ");
      await session.cycle();
      await session.answers("echo two$((1+1))\r", "two2");
      session.type("\x02o");
      await session.answers(" world\x1b:w\r", "written");
      await session.until("the text is written", () => session.file("text") === "hello world\n");
      await session.answers("\x02d", "outside> ");
      await session.cycle();
      await session.answers("tmux -S socket attach\r", /hello ?world/);
      session.type("A again\x1b:w\r");
      await session.until("the text is written", () => session.file("text") === "hello world again\n");
      await session.answers("\x02d", "outside> ");
      // The server alone, as nobody is connected to it.
      const [server = 0] = session.processes("tmux -f");
      await session.cycle(server);
      await session.answers("tmux -S socket attach\r", /hello ?world ?again/);
      session.type(":u\r:w\r");
      await session.until("the undo is written", () => session.file("text") !== "hello world again\n");
      session.type(":q\r");
      await session.until("vim has ended", () => session.processes("vim").length === 0);
      const panes = () => session.processes("bash --norc").length;
      const before = panes();
      session.type("exit\r");
      await session.until("one shell has ended", () => panes() < before);
      await session.answers("\x0c", "ready> ");
      await session.answers("exit\r", "exited");
      session.type("exit\r");
      await session.ends();
    },
  },
  {
    name: "screen",
    needs: ["screen"],
    command: `printf 'startup_message off\nshell bash\nsetenv PS1 "ready> "\n' >conf
      mkdir -m 700 sockets; export SCREENDIR=$PWD/sockets BASH_ENV= PS1='ready> '
      screen -c conf -S name bash --norc; PS1='outside> ' exec bash --norc -i`,
    async play(session) {
      await session.shows("ready> ");
      await session.answers("x=4; echo one$((x+1))\r", "one5");
      await session.answers("\x01:screen bash --norc\r", "ready> ");
      await session.cycle();
      await session.answers("echo other$((1+1))\r", "other2");
      await session.answers("\x01\x01", "ready> ");
      await session.answers("echo one$((x+2))\r", "one6");
      await session.answers("\x01d", "outside> ");
      await session.cycle();
      await session.answers("screen -r name\r", "one6");
      await session.answers("echo one$((x+3))\r", "one7");
      await session.answers("\x01d", "outside> ");
      const [server = 0] = session.processes("SCREEN");
      await session.cycle(server);
      await session.answers("screen -r name\r", "one7");
      const windows = () => session.processes("bash --norc").length;
      const before = windows();
      session.type("exit\r");
      await session.until("one shell has ended", () => windows() < before);
      await session.answers("\x0c", "ready> ");
      await session.answers("exit\r", "terminating");
      session.type("exit\r");
      await session.ends();
    },
  },
  {
    name: "top",
    needs: ["top"],
    job: true,
    command: "top -d 0.3",
    async play(session) {
      await session.shows("load average");
      for (let i = 0; i < 3; i++) {
        await session.cycle();
        await session.shows("load average");
        await session.shows("load average");
      }
      await session.answers("q", "ready> ");
      await session.answers("stty -a\r", /isig icanon.* echo echoe/s);
      session.type("exit\r");
      await session.ends();
    },
  },
  {
    name: "less",
    needs: ["less"],
    command: "echo line0 >log; exec less +F log",
    async play(session) {
      for (let i = 1; i <= 3; i++) {
        await session.shows(`line${i - 1}`);
        await session.cycle();
        session.put("log", `${session.file("log")}line${i}\n`);
      }
      await session.shows("line3");
      await session.answers("\x03", /:|END/);
      await session.answers("/ine1\r", "ine1");
      session.type("q");
      await session.ends();
    },
  },
  {
    name: "vim-job",
    needs: ["vim"],
    job: true,
    command: "vim -u NONE -N text",
    async play(session) {
      await session.answers("ione", "one");
      await session.cycle();
      await session.answers(" two\x1b:w\r", "written");
      expect(session.file("text")).toBe("one two\n");
      await session.cycle();
      // Through the restore, which waits for it, the shell sees it stop.
      await session.answers("\x1a", "ready> ");
      await session.answers("fg\r", "one");
      await session.cycle();
      await session.answers("u:w\r", "written");
      expect(session.file("text")).toBe("");
      await session.answers(":q\r", "ready> ");
      session.type("exit\r");
      await session.ends();
    },
  },
  {
    // It reads keys from /dev/tty, and its standard input is a pipe that nobody writes to any more.
    name: "less-job",
    needs: ["less"],
    job: true,
    command: "seq 1000 | less",
    async play(session) {
      await session.shows(/\n29\n/);
      for (let i = 0; i < 3; i++) {
        await session.cycle();
        await session.answers(" ", RegExp(`\\n${29 * (i + 2)}\\n`));
      }
      await session.answers("q", "ready> ");
      session.type("exit\r");
      await session.ends();
    },
  },
  {
    name: "python",
    needs: ["/usr/bin/python3"],
    command: "exec /usr/bin/python3 -q",
    async play(session) {
      await session.shows(">>> ");
      await session.answers("import os, threading, time, signal\r", ">>> ");
      await session.answers(
        "f = open('made', 'w+'); g = (n * n for n in range(100)); next(g), next(g)\r",
        "(0, 1)",
      );
      await session.answers(
        "e = threading.Event(); t = threading.Thread(target=e.wait); t.start()\r",
        ">>> ",
      );
      await session.answers("def twice(n):\r", "... ");
      await session.cycle();
      await session.answers("    return n * 2\r\r", ">>> ");
      await session.answers("twice(21)\r", "42");
      session.type("time.sleep(1000)\r");
      await Bun.sleep(300);
      await session.cycle();
      await session.answers("\x03", "KeyboardInterrupt");
      await session.answers("next(g) + f.write('words')\r", "9");
      await session.answers("p = os.popen('sleep 1; echo five'); p.rea", "rea");
      await session.cycle();
      await session.answers("d()\r", "five\\n");
      // readline's history
      await session.answers("\x1b[A\x1b[A\x1b[A\x1b[A\r", "42");
      await session.answers("f.close(); e.set(); t.join(); open('made').read()\r", "words");
      session.type("\x04");
      await session.ends();
    },
  },
  {
    name: "asyncio",
    needs: ["/usr/bin/python3"],
    command: "exec /usr/bin/python3 $SESSIONS/asyncio-rounds.py",
    play: rounds,
  },
  { name: "node", needs: ["node"], command: "exec node $SESSIONS/rounds.mjs", play: rounds },
  { name: "bun", needs: [], command: "exec $BUN $SESSIONS/rounds.mjs", play: rounds },
  {
    name: "sqlite",
    needs: ["sqlite3"],
    options: ["--file-locks"],
    command: "exec sqlite3 base",
    async play(session) {
      const aside = (sql: string) => {
        const run = Bun.spawnSync(["sqlite3", join(session.dir, "base"), sql]);
        return `${run.stdout}${run.stderr}`.trim();
      };
      await session.shows("sqlite> ");
      await session.answers("pragma journal_mode=wal;\r", /\nwal/);
      await session.answers("create table t(n); insert into t values(1);\r", "sqlite> ");
      await session.answers("begin immediate; insert into t values(10);\r", "sqlite> ");
      await session.cycle();
      expect(aside("insert into t values(5)")).toContain("locked");
      expect(aside("select sum(n) from t")).toBe("1");
      await session.answers("insert into t values(100); select sum(n) from t;\r", "111");
      await session.cycle();
      expect(aside("insert into t values(5)")).toContain("locked");
      await session.answers("commit; select 'done'||7;\r", "done7");
      expect(aside("insert into t values(1000); select sum(n) from t")).toBe("1111");
      await session.answers("begin; select sum(n) from t;\r", "1111");
      await session.cycle();
      // A reader's snapshot stays as it is.
      expect(aside("insert into t values(10000); select sum(n) from t")).toBe("11111");
      await session.answers("select sum(n)||'.' from t;\r", /\n1111\./);
      await session.answers("commit; select sum(n)||'.' from t;\r", /\n11111\./);
      await session.answers("pragma integrity_check;\r", /\nok/);
      session.type(".quit\r");
      await session.ends();
    },
  },
  {
    name: "make",
    needs: ["make", "gcc"],
    command: "cp -r $SESSIONS/make/. .; make -j2 && ./program",
    async play(session) {
      for (let i = 0; i < 3; i++) {
        // It has eight parts to compile, two at a time: more than two seconds where nothing else runs.
        await session.until("it compiles", () => session.processes("make -C").length > 0);
        await Bun.sleep(200);
        await session.cycle();
      }
      await session.shows("sum 78");
      await session.ends();
    },
  },
  {
    name: "go",
    needs: ["go"],
    command: "GOCACHE=$PWD/cache go build -o program $SESSIONS/rounds.go && exec ./program",
    play: rounds,
  },
  {
    name: "java",
    needs: ["javac", "java"],
    command: "/usr/bin/python3 $SESSIONS/java-source.py && javac -d out *.java && java -cp out Main",
    async play(session) {
      for (let i = 0; i < 3; i++) {
        await session.until("it compiles", () => session.processes("javac").length > 0);
        await Bun.sleep(300);
        await session.cycle();
      }
      await session.shows("sum 124750");
      await session.ends();
    },
  },
  {
    name: "inotifywait",
    needs: ["inotifywait"],
    command: "mkdir -p tree/below; exec inotifywait -m -r tree",
    async play(session) {
      await session.shows("Watches established");
      session.put("tree/first", "");
      await session.shows("tree/ CREATE first");
      for (let i = 0; i < 3; i++) {
        await session.cycle();
        session.put(`tree/below/file${i}`, "");
        await session.shows(`tree/below/ CREATE file${i}`);
        mkdirSync(join(session.dir, `tree/new${i}`));
        await session.shows(`CREATE,ISDIR new${i}`);
        await Bun.sleep(200);
        session.put(`tree/new${i}/inner`, "");
        await session.shows(`tree/new${i}/ CREATE inner`);
      }
      session.type("\x03");
      await session.ends(-2);
    },
  },
  {
    name: "dbus",
    needs: ["dbus-daemon", "dbus-send", "dbus-monitor"],
    command: `PS1='ready> ' exec bash --norc -i`,
    async play(session) {
      await session.shows("ready> ");
      session.type(
        "export DBUS_SESSION_BUS_ADDRESS=unix:path=$PWD/bus; dbus-daemon --session --nofork --address=unix:path=$PWD/bus &\r",
      );
      await session.until("the bus is there", () => existsSync(join(session.dir, "bus")));
      await session.answers("dbus-monitor --profile >monitor &\r", "ready> ");
      await session.until("the monitor is there", () => session.file("monitor").includes("NameAcquired"));
      for (let i = 0; i < 3; i++) {
        await session.cycle();
        await session.answers(
          `dbus-send --print-reply --dest=org.freedesktop.DBus /round${i} org.freedesktop.DBus.ListNames && echo done$((${i}+1))\r`,
          RegExp(`method return.*done${i + 1}`, "s"),
        );
        await session.until("the monitor has seen it", () => session.file("monitor").includes(`round${i}`));
      }
      await session.answers("kill %1; wait; echo gone$((1+2))\r", "gone3");
      session.type("exit\r");
      await session.ends();
    },
  },
  {
    name: "emacs",
    needs: ["emacs"],
    command: "exec emacs -nw -Q text",
    async play(session) {
      await session.shows("Fundamental");
      await session.answers("one", "one");
      await session.cycle();
      await session.answers(" two", "two");
      await session.answers("\x18\x13", "Wrote");
      expect(session.file("text")).toBe("one two");
      await session.answers("\x1bxshell\r", /\$|#/);
      await session.cycle();
      await session.answers("echo in$((2+3))\r", "in5");
      await session.answers("\x18bText", "Text");
      await session.cycle();
      await session.answers("\x07", "Quit");
      await session.answers("\x18btext\r", "one two");
      session.type("\x1f\x18\x13");
      await session.until("the undo is written", () => session.file("text") !== "one two");
      await session.answers("\x18\x03", "yes");
      session.type("yes\r");
      await session.ends();
    },
  },
  {
    name: "mc",
    needs: ["mc"],
    command: "export PS1='ready> '; exec mc -x",
    async play(session) {
      await session.shows("Quit");
      await session.cycle();
      session.type("\x1b7made\r");
      await session.until("the directory is made", () => existsSync(join(session.dir, "made")));
      session.type("echo sub >by-shell\r");
      await session.until("the shell below works", () => session.file("by-shell") === "sub\n");
      await session.cycle();
      await session.answers("\x0f", /[$>#] /);
      await session.cycle();
      session.type("echo again >by-shell\r");
      await session.until("the shell below works", () => session.file("by-shell") === "again\n");
      await session.answers("\x0f", "made");
      session.type("\x1b0");
      await session.ends();
    },
  },
  {
    name: "x",
    needs: ["Xvfb", "xclock", "xwininfo", "xwd"],
    command: "PS1='ready> ' exec bash --norc -i",
    async play(session) {
      await session.shows("ready> ");
      session.type("Xvfb -displayfd 3 -nolisten tcp 3>display 2>x.log &\r");
      await session.until("the server listens", () => session.file("display").endsWith("\n"));
      await session.answers(
        "export DISPLAY=:$(<display); xclock -update 1 -digital & echo clock$((1+1))\r",
        "clock2",
      );
      await session.answers("until xwininfo -name xclock; do sleep 0.1; done; echo up$((1+1))\r", "up2");
      for (let i = 0; i < 3; i++) {
        await session.cycle();
        const picture = async () => {
          await session.answers(`xwd -name xclock -out picture && echo taken$((${i}+1))\r`, `taken${i + 1}`);
          return Bun.hash(readFileSync(join(session.dir, "picture")));
        };
        const first = await picture();
        await session.until("the clock goes on", async () => (await picture()) !== first);
      }
      await session.answers("kill %2 %1; wait; echo gone$((1+2))\r", "gone3");
      session.type("exit\r");
      await session.ends();
    },
  },
];
