/** Device numbers. */

/** As stat(2) and mknod(2) have it (include/linux/kdev_t.h: huge_encode_dev). */
export function packDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** As the kernel has it inside, and images: major << 20 | minor. */
export function kernelDevice(major: number, minor: number): number {
  return ((major << 20) | minor) >>> 0;
}

export function majorOf(device: number): number {
  return device >>> 20;
}

export function minorOf(device: number): number {
  return device & 0xf_ffff;
}
