/**
 * What follows an entry of an image besides its message, "extra" in the JSON form: one file says of each kind how it is printed
 * and how it is read. What pads it is zero, and not printed.
 */
import type { Payload } from "../images/image-file.ts";
import type { AnyImageKind } from "../images/kinds.ts";
import { IpcMsg } from "../images/schema/generated/namespaces.ts";
import { Reader, Writer } from "../images/wire.ts";
import { readBase64 } from "./base64.ts";
import { CritError } from "./error.ts";
import type { JsonReader } from "./json-reader.ts";
import { BASE64_LINE, base64Lines, type Style } from "./json-text.ts";
import { messageOf } from "./message-of.ts";
import { type Message, messageText } from "./message-text.ts";
import type { Output } from "./output.ts";
import type { Spool } from "./spool.ts";

/** Writes an extra that was read, behind its entry. @throws CritError where the entry speaks of another */
export type WriteExtra = (entry: Message, out: Output) => void;

export interface Extra {
  /** Prints the value. `depth` is that of the entry. */
  print(entry: Message, payload: Payload, out: Output, style: Style, depth: number): void;
  /** Bytes, without what pads them, as `show --nopl` counts them. */
  size(entry: Message, payload: Payload): number;
  /** Reads the value. What is to be disposed of is added to `stack`. */
  read(json: JsonReader, stack: DisposableStack): WriteExtra;
  /** Writes what stands for no extra at all. @throws CritError where there has to be one */
  none: WriteExtra;
}

/** How much of a payload is in memory at a time: whole lines of base64. */
const PIECE = BASE64_LINE * 1024;

/** A number of an entry, by its name. */
function count(entry: Message, field: string): number {
  const value = entry[field];
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : 0;
}

function padding(size: number, word: number): Uint8Array {
  return new Uint8Array((word - (size % word)) % word);
}

export function printBase64(payload: Payload, start: number, length: number, out: Output): void {
  out.text('"');
  for (let done = 0; done < length; done += PIECE) {
    out.text(base64Lines(payload.bytes(start + done, Math.min(PIECE, length - done))));
  }
  out.text('"');
}

function writeExactly(spool: Spool | undefined, size: number, what: string, out: Output): void {
  const length = spool?.length ?? 0;
  if (length !== size) throw new CritError(`${what} has ${length} bytes, the entry says ${size}`);
  spool?.writeTo(out);
}

/** Bytes, as many as `size` says, with zeros up to a whole `word`. */
function bytes(size: (entry: Message) => number, word = 1): Extra {
  const write = (spool: Spool | undefined): WriteExtra => {
    return (entry, out) => {
      writeExactly(spool, size(entry), "extra", out);
      out.bytes(padding(size(entry), word));
    };
  };
  return {
    print: (entry, payload, out) => printBase64(payload, 0, size(entry), out),
    size,
    read: (json, stack) => write(stack.use(readBase64(json))),
    none: write(undefined),
  };
}

const TCP_QUEUES: Extra = {
  print(entry, payload, out, style, depth) {
    const inq = count(entry, "inq_len");
    out.text(`{${style.before(depth + 1)}"inq": `);
    printBase64(payload, 0, inq, out);
    out.text(`${style.between(depth + 1)}"outq": `);
    printBase64(payload, inq, count(entry, "outq_len"), out);
    out.text(`${style.behind(depth + 1)}}`);
  },
  size: (entry) => count(entry, "inq_len") + count(entry, "outq_len"),
  read(json: JsonReader, stack) {
    const queues = new Map<string, Spool>();
    json.object((key) => {
      if (key !== "inq" && key !== "outq") json.fail(`"${key}" is no queue of a TCP connection`);
      queues.set(key, stack.use(readBase64(json)));
    });
    return writeQueues(queues);
  },
  none: writeQueues(new Map()),
};

function writeQueues(queues: ReadonlyMap<string, Spool>): WriteExtra {
  return (entry, out) => {
    writeExactly(queues.get("inq"), count(entry, "inq_len"), "extra.inq", out);
    writeExactly(queues.get("outq"), count(entry, "outq_len"), "extra.outq", out);
  };
}

/** Values of a set of semaphores, 16 bits each, padded to 8 bytes. */
const SEMAPHORES: Extra = {
  print(_entry, payload, out, style, depth) {
    const size = SEMAPHORES.size(_entry, payload);
    const values = payload.bytes(0, size);
    const view = new DataView(values.buffer, values.byteOffset, size);
    const items = Array.from({ length: size / 2 }, (_, n) => String(view.getUint16(n * 2, true)));
    out.text(style.list(items, depth + 1));
  },
  size: (entry) => count(entry, "nsems") * 2,
  read(json: JsonReader) {
    const values = json.value();
    if (!Array.isArray(values)) json.fail("extra is no list of semaphores");
    return writeSemaphores(values);
  },
  none: writeSemaphores([]),
};

function writeSemaphores(values: readonly unknown[]): WriteExtra {
  return (entry, out) => {
    const wanted = count(entry, "nsems");
    if (values.length !== wanted)
      throw new CritError(`extra has ${values.length} semaphores, the entry says ${wanted}`);
    const data = new DataView(new ArrayBuffer(values.length * 2));
    values.forEach((value, n) => {
      if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffff)
        throw new CritError(`extra: ${String(value)} is no value of a semaphore`);
      data.setUint16(n * 2, value, true);
    });
    out.bytes(new Uint8Array(data.buffer));
    out.bytes(padding(values.length * 2, 8));
  };
}

interface QueuedMessage {
  /** Where its entry begins in the payload, after the size. */
  readonly start: number;
  readonly size: number;
  readonly message: IpcMsg;
}

/** The messages in a System V queue: each is framed as an entry is, and its text padded to 8 bytes. */
function* messagesIn(entry: Message, payload: Payload): Generator<QueuedMessage> {
  let at = 0;
  for (let n = count(entry, "qnum"); n > 0; n--) {
    const frame = payload.bytes(at, 4);
    const size = new DataView(frame.buffer, frame.byteOffset, 4).getUint32(0, true);
    const message = IpcMsg.read(new Reader(payload.bytes(at + 4, size)));
    yield { start: at + 4, size, message };
    at += 4 + size + message.msize + padding(message.msize, 8).length;
  }
}

const MESSAGE_QUEUE: Extra = {
  print(entry, payload, out, style, depth) {
    let any = false;
    for (const { start, size, message } of messagesIn(entry, payload)) {
      out.text(any ? style.between(depth + 1) : `[${style.before(depth + 1)}`);
      out.text(`${messageText(IpcMsg.name, message, { ...style, pretty: false }, depth + 2)}`);
      out.text(style.between(depth + 1));
      printBase64(payload, start + size, message.msize, out);
      any = true;
    }
    out.text(any ? `${style.behind(depth + 1)}]` : "[]");
  },
  size(entry, payload) {
    let length = 0;
    for (const { size, message } of messagesIn(entry, payload)) length += size + message.msize;
    return length;
  },
  read(json: JsonReader, stack) {
    const messages: { message: Message; text: Spool }[] = [];
    let message: Message | undefined;
    json.list(() => {
      if (message === undefined) {
        const value = json.value();
        if (!(value instanceof Map)) json.fail(`an ${IpcMsg.name} is expected`);
        message = messageOf(IpcMsg.name, value);
      } else {
        messages.push({ message, text: stack.use(readBase64(json)) });
        message = undefined;
      }
    });
    if (message !== undefined) json.fail("the text of the last message is missing");
    return writeQueue(messages);
  },
  none: writeQueue([]),
};

function writeQueue(messages: readonly { message: Message; text: Spool }[]): WriteExtra {
  return (entry, out) => {
    const wanted = count(entry, "qnum");
    if (messages.length !== wanted) {
      throw new CritError(`extra has ${messages.length} messages, the entry says ${wanted}`);
    }
    for (const { message, text } of messages) {
      const { mtype } = message;
      const msize = count(message, "msize");
      const writer = new Writer();
      writer.framed(IpcMsg, { mtype: typeof mtype === "bigint" ? mtype : 0n, msize });
      out.bytes(writer.finish());
      writeExactly(text, msize, "the text of a message", out);
      out.bytes(padding(msize, 8));
    }
  };
}

const PIPE_BYTES = bytes((entry) => count(entry, "bytes"));

const EXTRAS: Readonly<Record<string, Extra>> = {
  PIPES_DATA: PIPE_BYTES,
  FIFO_DATA: PIPE_BYTES,
  SK_QUEUES: bytes((entry) => count(entry, "length")),
  GHOST_FILE: bytes((entry) => count(entry, "len")),
  BPFMAP_DATA: bytes((entry) => count(entry, "keys_bytes") + count(entry, "values_bytes")),
  IPCNS_SHM: bytes((entry) => (entry.in_pagemaps === true ? 0 : count(entry, "size")), 4),
  TCP_STREAM: TCP_QUEUES,
  IPCNS_SEM: SEMAPHORES,
  IPCNS_MSG: MESSAGE_QUEUE,
};

/** undefined where nothing follows the entries of a kind. */
export function extraOf(kind: AnyImageKind): Extra | undefined {
  return EXTRAS[kind.name];
}
