import { expect, test } from "bun:test";
import { encodeMessages, messagesIn } from "./netlink.ts";
import { u32 } from "./struct.ts";

test("messages of images have the number that CRIU waits for, each of them", () => {
  const messages = [
    { type: 0x100, body: Uint8Array.of(2, 0, 0, 0) },
    { type: 0x100, body: Uint8Array.of(10, 0, 0, 0, 1, 2, 3, 4) },
  ];
  const bytes = encodeMessages(messages);
  expect([u32.read(bytes, 8), u32.read(bytes, 20 + 8)]).toEqual([24680, 24680]);
  expect(messagesIn(bytes)).toEqual(messages);
});
