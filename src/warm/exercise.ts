/**
 * Programs to practise on: a process with threads, one with children and open files, one with many files. They are tables of
 * system calls (executable.ts), so that nothing but us is needed to make them.
 */
import { CLONE_AS_THREAD, cloneArgs } from "../linux/clone.ts";
import { AT, O, SEEK } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { SIG } from "../linux/signal.ts";
import { AF, SOCK } from "../linux/socket.ts";
import { cString } from "../linux/syscall.ts";
import { OP } from "../machine/runner.ts";
import type { Table } from "../tracee/table/table.ts";
import { Executable, layWithin, repeat, wordOf } from "./executable.ts";

const ADDRESS = 0x40_0000;
const TABLE_SIZE = 0x8_0000;
const REST_SIZE = 0x100;
/**
 * Few, so that a round takes little memory: what is left of a round lies scattered over all that it has taken. The rounds
 * (make.ts) are so many that what is done for each is compiled for good.
 */
const THREADS = 10;
const CHILDREN = 5;
const FILES = 24;
/** Behind standard input, output and error, the files, the pipes, and an event. */
const FIRST_SOCKET = 3 + FILES + FILES / 4 + 1;
/** So many that not all of their numbers fit into a byte of an image. */
const MANY_FILES = 200;

/** Sleeps for ever. */
function layRest(table: Table): void {
  table.call(NR.pause);
  repeat(table, table.data(wordOf(1)), Number.MAX_SAFE_INTEGER);
}

/** Bears `count` tasks that do nothing. */
function layBirths(table: Table, count: number, args: Uint8Array): void {
  const rest = layWithin(table, REST_SIZE, layRest);
  const born = table.must("a task", OP.SPAWN, table.data(args), args.length, rest);
  repeat(table, table.resultAt(born), count);
}

function make(path: string, lay: (table: Table) => void): void {
  using made = new Executable(path, ADDRESS, TABLE_SIZE);
  made.otherwise.call(NR.exit_group, 1);
  lay(made.table);
  layRest(made.table);
  made.finish();
}

/** Makes a program of `count` threads more than its first. @throws KernelError */
export function makeThreads(path: string, count = THREADS): void {
  make(path, (table) => layBirths(table, count, cloneArgs.encode({ flags: CLONE_AS_THREAD })));
}

/** Makes a program of many children and open files. @throws KernelError */
export function makeChildren(path: string): void {
  make(path, (table) => {
    const name = table.data(cString("/proc/self/exe"));
    for (let i = 0; i < FILES; i++) table.must("a file", NR.openat, AT.FDCWD, name, O.RDONLY);
    const ends = table.data(new Uint8Array(8));
    for (let i = 0; i < FILES / 8; i++) table.must("a pipe", NR.pipe2, ends, 0);
    table.must("an event", NR.eventfd2, 1, 0);
    for (let i = 0; i < FILES / 8; i++) {
      table.must("a pair of sockets", NR.socketpair, AF.UNIX, i === 0 ? SOCK.DGRAM : SOCK.STREAM, 0, ends);
      // Something waits in one of them: it was the last number but one to be free.
      table.must("a message", NR.write, FIRST_SOCKET + 2 * i, name, 8);
    }
    layBirths(table, CHILDREN, cloneArgs.encode({ exit_signal: SIG.CHLD }));
  });
}

/** Makes a program that has `count` files open, which it makes in `directory`. @throws KernelError */
export function makeFiles(path: string, directory: string, count = MANY_FILES): void {
  make(path, (table) => {
    for (let i = 0; i < count; i++) {
      const name = table.data(cString(`${directory}/file ${i}`));
      const access = i % 4 === 0 ? O.RDONLY : O.RDWR;
      const fd = table.must("a file", NR.openat, AT.FDCWD, name, access | O.CREAT, 0o600);
      table.must("its offset", NR.lseek, fd, i * i, SEEK.SET);
    }
  });
}
