/** Calls made by us, where we are. */
import { F } from "../../linux/fcntl.ts";
import { Fd } from "../../linux/fd.ts";
import { fcntl } from "../../linux/io.ts";
import { addressOf, cString, rawSyscall } from "../../linux/syscall.ts";
import type { Place } from "./place.ts";

export const ours: Place = {
  where: "here",
  call(nr, ...args) {
    const texts = args.map((arg) => (typeof arg === "string" ? cString(arg) : arg));
    const [a1, a2, a3, a4, a5, a6] = texts.map((arg) => (typeof arg === "number" ? arg : addressOf(arg)));
    const result = rawSyscall(nr, a1, a2, a3, a4, a5, a6);
    // Bytes are collected that nobody refers to any more.
    return texts.length === args.length ? result : -1;
  },
  give: (fds) => fds.map((fd) => fcntl(fd, F.DUPFD_CLOEXEC, 0)),
  take: (number) => Fd.own(fcntl(number, F.DUPFD_CLOEXEC, 0)),
};
