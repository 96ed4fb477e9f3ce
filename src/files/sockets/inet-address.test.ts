import { expect, test } from "bun:test";
import { AF } from "../../linux/socket.ts";
import { addressText, destinationOf, hostWords, sourceOf } from "./inet-address.ts";

const V4 = { family: AF.INET, src_port: 80, src_addr: [0x0100_007f], dst_port: 0, dst_addr: [0] };
const V6 = {
  ...V4,
  family: AF.INET6,
  src_addr: [0, 0, 0, 0x0100_0000],
  dst_addr: [0, 0, 0xffff_0000, 0x0100_007f],
};

test("addresses are what the images say, and are shown as usual", () => {
  expect(addressText(sourceOf(V4, "x"))).toBe("127.0.0.1:80");
  expect(addressText(sourceOf(V6, "x"))).toBe("[::1]:80");
  expect(hostWords(destinationOf(V6, "x").host)).toEqual(V6.dst_addr);
  // Very old images have four words for IPv4 as well.
  expect(addressText(sourceOf({ ...V4, src_addr: [0x0100_007f, 0, 0, 0] }, "x"))).toBe("127.0.0.1:80");
});

test("absurd ones are told off by name", () => {
  expect(() => sourceOf({ ...V4, src_port: 70_000 }, "file 7")).toThrow("file 7: port 70000");
  expect(() => sourceOf({ ...V4, src_addr: [] }, "file 7")).toThrow("file 7: an address of 0 words, not 1");
  expect(() => destinationOf({ ...V6, dst_addr: [1, 2, 3] }, "file 7")).toThrow(
    "an address of 3 words, not 4",
  );
});
