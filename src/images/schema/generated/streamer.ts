// Made from streamer.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface ImgStreamerRequestEntry {
  filename: string;
}

export const ImgStreamerRequestEntry: Codec<ImgStreamerRequestEntry> = {
  name: "img_streamer_request_entry",
  write(w: Writer, m: ImgStreamerRequestEntry): void {
    w.string(10, m.filename, "img_streamer_request_entry.filename");
  },
  read(r: Reader): ImgStreamerRequestEntry {
    let filename: string | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          filename = r.string();
          break;
        default:
          r.skip(tag);
      }
    }
    if (filename === undefined) return r.missing("img_streamer_request_entry.filename");
    return { filename };
  },
};

export interface ImgStreamerReplyEntry {
  exists: boolean;
}

export const ImgStreamerReplyEntry: Codec<ImgStreamerReplyEntry> = {
  name: "img_streamer_reply_entry",
  write(w: Writer, m: ImgStreamerReplyEntry): void {
    w.bool(8, m.exists, "img_streamer_reply_entry.exists");
  },
  read(r: Reader): ImgStreamerReplyEntry {
    let exists: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          exists = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    if (exists === undefined) return r.missing("img_streamer_reply_entry.exists");
    return { exists };
  },
};
