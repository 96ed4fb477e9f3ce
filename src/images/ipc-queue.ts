// The messages that follow an ipc_msg_entry in ipcns-msg-N.img, as its payload.

import { ImageError } from "./error.ts";
import { IpcMsg } from "./schema/generated/namespaces.ts";
import { Reader, Writer } from "./wire.ts";

/** One message of a System V queue. */
export interface QueuedMessage {
  mtype: bigint;
  text: Uint8Array;
}

/** The payload of a queue's entry whose `qnum` is `messages.length`. */
export function encodeQueue(messages: readonly QueuedMessage[]): Uint8Array {
  const writer = new Writer();
  for (const { mtype, text } of messages) {
    writer.framed(IpcMsg, { mtype, msize: text.length });
    writer.raw(text);
    writer.raw(new Uint8Array(-text.length & 7));
  }
  return writer.finish();
}

/** The messages in a queue's payload. Throws ImageError where they are not. */
export function decodeQueue(payload: Uint8Array): QueuedMessage[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const messages: QueuedMessage[] = [];
  let at = 0;
  const take = (length: number): number => {
    if (length > payload.length - at) throw new ImageError("a queued message is cut short", { offset: at });
    at += length;
    return at - length;
  };
  while (at < payload.length) {
    const size = view.getUint32(take(4), true);
    const start = take(size);
    const { mtype, msize } = IpcMsg.read(new Reader(payload, start, start + size));
    const text = take(Math.ceil(msize / 8) * 8);
    messages.push({ mtype, text: payload.slice(text, text + msize) });
  }
  return messages;
}
