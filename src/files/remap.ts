/** remap-fpath.img: entries of files.img that are not to be found by their own path. */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { type RemapFilePathEntry, RemapType } from "../images/schema/generated/files.ts";
import { FileRestoreError } from "./errors.ts";

export class Remaps {
  readonly #entries: RemapFilePathEntry[] = [];

  add(fileId: number, type: RemapType, remapId: number): void {
    this.#entries.push({ orig_id: fileId, remap_id: remapId, remap_type: type });
  }

  write(images: ImageDir): void {
    images.writeAll(IMAGES.remap_fpath, this.#entries);
  }
}

/** What an entry of files.img is to be found as. */
export interface Remap {
  readonly fileId: number;
  readonly type: RemapType;
  readonly remapId: number;
}

/** In images from before the type was noted, a ghost's number has this bit. */
const OLD_GHOST = 0x8000_0000;

/** @throws FileRestoreError, ImageError */
export function readRemaps(images: ImageDir): Map<number, Remap> {
  const remaps = new Map<number, Remap>();
  for (const { orig_id, remap_id, remap_type } of images.readAll(IMAGES.remap_fpath)) {
    if (remaps.has(orig_id)) throw new FileRestoreError(`remap-fpath.img: file ${orig_id} is there twice`);
    const old = remap_type === undefined;
    const oldGhost = old && remap_id >= OLD_GHOST;
    remaps.set(orig_id, {
      fileId: orig_id,
      type: remap_type ?? (oldGhost ? RemapType.GHOST : RemapType.LINKED),
      remapId: oldGhost ? remap_id - OLD_GHOST : remap_id,
    });
  }
  return remaps;
}
