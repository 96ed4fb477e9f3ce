import { describe, expect, test } from "bun:test";
import { fileError, ImageError } from "../images/error.ts";
import { BaseError } from "../linux/base-error.ts";
import { ERRNO, KernelError } from "../linux/errno.ts";
import { UnsupportedError } from "../process/errors.ts";
import { MemoryError, naming } from "./errors.ts";

const refusal = new KernelError("openat", "/etc/motd", ERRNO.ENOENT);

function thrownBy(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe("an error", () => {
  test("names its process in its line and beside it", () => {
    const error = new UnsupportedError("has no house", { process: 12 });
    expect(error.message).toBe("process 12: has no house");
    expect(error).toMatchObject({ kind: "unsupported", process: 12, errno: undefined });
  });

  test("of the kernel's has call, object and errno", () => {
    expect(refusal.message).toBe("openat /etc/motd: ENOENT");
    expect(refusal).toMatchObject({
      kind: "kernel",
      call: "openat",
      object: "/etc/motd",
      errno: ERRNO.ENOENT,
    });
  });

  test("that comes of another one has its errno, and leads to it", () => {
    const error = thrownBy(() =>
      naming(7, { start: 0x1000, end: 0x2000 }, () => {
        throw refusal;
      }),
    );
    expect(error).toBeInstanceOf(MemoryError);
    expect(error).toMatchObject({
      kind: "memory",
      message: "process 7: mapping 1000-2000: openat /etc/motd: ENOENT",
      process: 7,
      object: "mapping 1000-2000",
      errno: ERRNO.ENOENT,
      cause: refusal,
    });
    expect(fileError("open", "mm-7.img", refusal)).toMatchObject({
      kind: "image",
      message: "mm-7.img: cannot open: ENOENT",
      object: "mm-7.img",
      errno: ERRNO.ENOENT,
    });
  });

  test("of an image keeps its errno when its place becomes known", () => {
    const error = new ImageError("too short", { errno: ERRNO.EIO }).at({ file: "fs-1.img" });
    expect(error).toMatchObject({ object: "fs-1.img", errno: ERRNO.EIO });
    expect(error).toBeInstanceOf(BaseError);
  });
});
