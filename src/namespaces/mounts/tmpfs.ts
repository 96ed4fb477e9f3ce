/** The content of a tmpfs: tmpfs-dev-DEVICE.tar.gz.img, an archive of everything that is in it. */
import type { ImageDir } from "../../images/image-dir.ts";
import { RAW_IMAGES } from "../../images/kinds.ts";
import { Fd } from "../../linux/fd.ts";
import { asRootOf } from "../../linux/fs-ids.ts";
import { O, read, writeAll } from "../../linux/io.ts";
import type { Owners } from "../../linux/owners.ts";
import { GzipReader, GzipWriter } from "./archive/gzip.ts";
import { loadTree } from "./archive/load-tree.ts";
import { saveTree } from "./archive/save-tree.ts";

const PIECE = 1 << 20;

/** Writes what is in the file system of device `device`, whose root `root`, lent, is open at. @throws KernelError, ImageError */
export function dumpTmpfs(images: ImageDir, device: number, root: number, owners: Owners): void {
  images.remove(RAW_IMAGES.tmpfs_dev, device);
  using image = Fd.open(images.rawPath(RAW_IMAGES.tmpfs_dev, device), O.CREAT | O.EXCL | O.WRONLY, 0o600);
  const gzip = new GzipWriter((bytes) => writeAll(image.number, bytes));
  saveTree(root, (bytes) => gzip.write(bytes), owners);
  gzip.end();
}

/**
 * Fills the empty tmpfs whose root `root`, lent, is open at. Old images are named by the mount.
 * @throws KernelError, TarError
 */
export function restoreTmpfs(
  images: ImageDir,
  device: number,
  mountId: number,
  root: number,
  owners: Owners,
): void {
  const path = images.has(RAW_IMAGES.tmpfs_dev, device)
    ? images.rawPath(RAW_IMAGES.tmpfs_dev, device)
    : images.rawPath(RAW_IMAGES.tmpfs, mountId);
  using image = Fd.open(path, O.RDONLY);
  const buffer = new Uint8Array(PIECE);
  const gzip = new GzipReader((length) => {
    const bytes = length <= PIECE ? buffer.subarray(0, length) : new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const got = read(image.number, bytes.subarray(done));
      if (got === 0) break;
      done += got;
    }
    return bytes.subarray(0, done);
  });
  asRootOf(owners, () => loadTree(root, gzip, owners));
}
