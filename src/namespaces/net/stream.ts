/**
 * Images that are messages of netlink as the kernel sends them, one behind the other: addresses, routes, rules behind a magic number,
 * as ip(8) saves them (`ip addr save`, ...); connections that netfilter tracks without one.
 */
import { ImageError } from "../../images/error.ts";
import type { ImageDir } from "../../images/image-dir.ts";
import { fileName, type RawKind } from "../../images/kinds.ts";
import { Fd } from "../../linux/fd.ts";
import { O, readFileBytes, writeAll } from "../../linux/io.ts";
import { encodeMessages, type Message, messagesIn } from "../../linux/netlink.ts";
import { u32 } from "../../linux/struct.ts";

/** An image, and the magic number that it begins with. */
export interface StreamKind {
  readonly raw: RawKind;
  readonly magic: number | undefined;
}

/** A message of its own bytes. */
export function copyOf({ type, body }: Message): Message {
  return { type, body: body.slice() };
}

/** Writes an image; one without a magic number and without messages is not there. @throws KernelError, ImageError */
export function writeStream(
  images: ImageDir,
  { raw, magic }: StreamKind,
  id: number,
  messages: readonly Message[],
): void {
  images.remove(raw, id);
  if (magic === undefined && messages.length === 0) return;
  using image = Fd.open(images.rawPath(raw, id), O.CREAT | O.EXCL | O.WRONLY, 0o600);
  if (magic !== undefined) {
    const head = new Uint8Array(u32.size);
    u32.write(head, 0, magic);
    writeAll(image.number, head);
  }
  writeAll(image.number, encodeMessages(messages));
}

/** The messages of an image; none where it is not there, or empty. @throws KernelError, ImageError */
export function readStream(images: ImageDir, { raw, magic }: StreamKind, id: number): Message[] {
  if (!images.has(raw, id)) return [];
  const bytes = readFileBytes(images.rawPath(raw, id));
  if (bytes.length === 0) return [];
  const file = fileName(raw, id);
  const start = magic === undefined ? 0 : u32.size;
  if (magic !== undefined && (bytes.length < start || u32.read(bytes, 0) !== magic))
    throw new ImageError("it does not begin with the magic number of its kind", { file });
  const messages = messagesIn(bytes, start);
  if (messages === undefined) throw new ImageError("it ends within a message", { file });
  return messages;
}
