/** The clocks of the machine at the time of a dump: timens-0.img, from which a time namespace can be made to go on. */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { NR } from "../linux/nr.ts";
import { s64, struct } from "../linux/struct.ts";
import { addressOf, syscall } from "../linux/syscall.ts";

const timespec = struct({ tv_sec: s64, tv_nsec: s64 });
const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
/** The number of the image when the tree has no time namespace of its own. */
const HOST = 0;

function clock(id: number): { tv_sec: bigint; tv_nsec: bigint } {
  const now = new Uint8Array(timespec.size);
  syscall(`clock ${id}`, NR.clock_gettime, id, addressOf(now));
  return timespec.decode(now);
}

/** Writes timens-0.img. @throws ImageError */
export function dumpClocks(images: ImageDir): void {
  images.writeAll(
    IMAGES.timens,
    [{ monotonic: clock(CLOCK_MONOTONIC), boottime: clock(CLOCK_BOOTTIME) }],
    HOST,
  );
}
