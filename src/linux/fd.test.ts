import { expect, test } from "bun:test";
import { KernelError } from "./errno.ts";
import { closeAll, Fd } from "./fd.ts";
import { exists, fcntl, O } from "./io.ts";
import { NR } from "./nr.ts";
import { rawSyscall } from "./syscall.ts";

const isOpen = (number: number) => exists(`/proc/self/fd/${number}`);

test("is closed when its scope is left, also by an error", () => {
  let number = -1;
  expect(() => {
    using fd = Fd.open("/dev/null", O.RDWR);
    number = fd.number;
    expect(fcntl(number, 1)).toBe(1);
    throw new Error("left");
  }).toThrow("left");
  expect(isOpen(number)).toBe(false);
});

test("is not closed by who gave it away, nor twice by anyone", () => {
  const fd = Fd.open("/dev/null", O.RDONLY);
  const number = fd.release();
  fd.close();
  expect(isOpen(number)).toBe(true);
  expect(() => fd.number).toThrow("given away");
  expect(() => fd.release()).toThrow("given away");
  const again = Fd.own(number);
  again.close();
  using other = Fd.open("/dev/null", O.RDONLY);
  expect(other.number).toBe(number);
  again.close();
  expect(isOpen(number)).toBe(true);
});

test("a result that was not checked is no descriptor", () => {
  expect(() => Fd.own(rawSyscall(NR.openat, -1, 0, 0))).toThrow(RangeError);
  expect(() => Fd.open("/nothing/here", O.RDONLY)).toThrow(KernelError);
});

test("a copy is closed by itself", () => {
  using fd = Fd.open("/dev/null", O.RDONLY);
  const copy = fd.dup(100);
  expect(copy.number).toBeGreaterThanOrEqual(100);
  copy.close();
  expect(isOpen(fd.number)).toBe(true);
});

test("many are closed, in rows and alone; those given away are not", () => {
  const fds = Array.from({ length: 20 }, () => Fd.open("/dev/null", O.RDONLY));
  const numbers = fds.map(({ number }) => number);
  using kept = Fd.own(fds[7]?.release() ?? -1);
  closeAll(fds.reverse());
  expect(numbers.filter(isOpen)).toEqual([kept.number]);
});
