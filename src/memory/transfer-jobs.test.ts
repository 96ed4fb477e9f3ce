import { expect, test } from "bun:test";
import { ERRNO } from "../linux/errno.ts";
import { close, read, withFd, writeAll } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import { addressOf, cString, syscall } from "../linux/syscall.ts";
import { JOB_BYTES, type Transfer, TransferJobs, WINDOW } from "./transfer-jobs.ts";

const memfd = () => syscall("a file", NR.memfd_create, addressOf(cString("jobs")), 0);

class Noted implements Transfer {
  failures: [number, number][] = [];
  ends = 0;

  constructor(private readonly onFailure = () => {}) {}

  failed(call: number, result: number): void {
    this.failures.push([call, result]);
    this.onFailure();
  }

  end(): void {
    this.ends++;
  }
}

/** Lays a copy of a window from one file to the other. */
function layCopy(
  jobs: TransferJobs,
  from: number,
  to: number,
  offset: number,
  transfer = new Noted(),
): Noted {
  const window = jobs.begin(transfer, WINDOW, 2);
  jobs.call(WINDOW, NR.pread64, from, window, WINDOW, offset);
  jobs.call(WINDOW, NR.pwrite64, to, window, WINDOW, offset);
  return transfer;
}

test("what two threads have moved is what was there", () => {
  const size = 5 * JOB_BYTES + 3 * WINDOW;
  const bytes = crypto.getRandomValues(new Uint8Array(0x1_0000));
  withFd(memfd(), (from) =>
    withFd(memfd(), (to) => {
      for (let at = 0; at < size; at += bytes.length) {
        bytes[0] = at / bytes.length;
        writeAll(from, bytes, at);
      }
      let asked = 0;
      const jobs = new TransferJobs(() => ++asked < 10);
      const transfers: Noted[] = [];
      for (let at = 0; at < size; at += WINDOW) transfers.push(layCopy(jobs, from, to, at));
      jobs.settle();
      const [one, other] = [new Uint8Array(size), new Uint8Array(size)];
      expect([read(from, one, 0), read(to, other, 0)]).toEqual([size, size]);
      expect(Buffer.compare(one, other)).toBe(0);
      for (const { failures, ends } of transfers) expect([failures, ends]).toEqual([[], 1]);
    }),
  );
});

test("a transfer that fails is told which call it was, and all of them end", () => {
  withFd(memfd(), (from) => {
    writeAll(from, new Uint8Array(2 * WINDOW));
    const closed = memfd();
    close(closed);
    const jobs = new TransferJobs();
    const done = new Noted();
    jobs.begin(done, 0, 1);
    jobs.call(0, NR.fsync, from);
    const again = layCopy(jobs, from, closed, 0);
    const fatal = new Noted(() => {
      throw new RangeError("fatal");
    });
    layCopy(jobs, closed, from, WINDOW, fatal);
    const behind = layCopy(jobs, from, closed, WINDOW);
    expect(() => jobs.settle()).toThrow("fatal");
    expect(done.failures).toEqual([]);
    expect(again.failures).toEqual([[1, -ERRNO.EBADF]]);
    expect(fatal.failures).toEqual([[0, -ERRNO.EBADF]]);
    expect(behind.failures).toEqual([]);
    expect([done, again, fatal, behind].map(({ ends }) => ends)).toEqual([1, 1, 1, 1]);
    // Nothing of it is left for the next.
    jobs.settle();
  });
});

test("what is abandoned ends, and is not done", () => {
  withFd(memfd(), (to) => {
    const jobs = new TransferJobs();
    const transfer = new Noted();
    const window = jobs.begin(transfer, 8, 1);
    jobs.call(8, NR.pwrite64, to, window, 8, 0);
    jobs.abandon();
    expect([transfer.failures, transfer.ends]).toEqual([[], 1]);
    expect(read(to, new Uint8Array(8), 0)).toBe(0);
  });
});

test("arguments behind pointers stand where the calls find them", () => {
  withFd(memfd(), (to) => {
    const jobs = new TransferJobs();
    for (let i = 0; i < 300; i++) {
      jobs.begin(new Noted(), 1, 1);
      jobs.call(1, NR.pwrite64, to, jobs.argument(Uint8Array.of(i)), 1, i);
    }
    jobs.settle();
    const found = new Uint8Array(300);
    read(to, found, 0);
    expect(found).toEqual(Uint8Array.from({ length: 300 }, (_, i) => i));
  });
});
