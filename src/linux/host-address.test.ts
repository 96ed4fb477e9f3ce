import { expect, test } from "bun:test";
import { hostOf } from "./host-address.ts";
import { AF } from "./socket.ts";

const bytes = (text: string) => {
  const found = hostOf(text);
  return found === undefined ? undefined : [...found.host];
};

test("addresses in figures", () => {
  expect(hostOf("127.0.0.1")).toEqual({ family: AF.INET, host: Uint8Array.of(127, 0, 0, 1) });
  expect(bytes("::")).toEqual(new Array(16).fill(0));
  expect(bytes("::1")).toEqual([...new Array(15).fill(0), 1]);
  expect(bytes("fe80::1:2")).toEqual([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]);
  expect(bytes("1:2:3:4:5:6:7:8")).toEqual([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]);
  expect(bytes("::ffff:10.1.2.3")).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]);
  for (const wrong of [
    "",
    "1.2.3",
    "1.2.3.256",
    "1:2",
    "1::2::3",
    "1:2:3:4:5:6:7:8:9",
    "g::",
    "::1.2.3.300",
    ":",
  ])
    expect(hostOf(wrong)).toBeUndefined();
});

test("names that /etc/hosts knows", () => {
  expect(hostOf("localhost")?.host.length).toBeOneOf([4, 16]);
  expect(hostOf("nobody.of.this.name")).toBeUndefined();
});
