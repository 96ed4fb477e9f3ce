/** Memory that processes share, of a restore: anonymous objects, made once and filled, and System V segments. */

import { ImageError } from "../images/error.ts";
import type { ImageDir } from "../images/image-dir.ts";
import { fileName, IMAGES } from "../images/kinds.ts";
import { close } from "../linux/io.ts";
import { MAP, PROT, pageUp } from "../linux/memory.ts";
import { MREMAP } from "../linux/mman.ts";
import { NR } from "../linux/nr.ts";
import type { NsPid } from "../linux/pid.ts";
import { SHM } from "../linux/sysv-ipc.ts";
import { naming, rangeText } from "./errors.ts";
import type { MemoryPlan } from "./layout.ts";
import { createSharedMemory, fillShmem } from "./shmem.ts";
import type { Steps } from "./steps.ts";
import type { SysvRestore } from "./sysv.ts";
import { has, isHuge, STATUS, type Vma } from "./vma.ts";

/** A shared anonymous object: how large, and where it is once made. */
interface SharedObject {
  size: number;
  readonly flags: number;
  fd: number | undefined;
}

export class SharedRestore {
  readonly #shared = new Map<number, SharedObject>();

  constructor(
    private readonly images: ImageDir,
    private readonly sysv: SysvRestore,
  ) {}

  /** Takes note of a mapping of a shared object, before that is made. @throws ImageError */
  note(pid: NsPid, vma: Vma): void {
    const size = vma.pgoff + vma.end - vma.start;
    if (has(vma, STATUS.SYSVIPC)) {
      const whole = this.sysv.size(pid, vma.object);
      const problem =
        whole === undefined ? "is not in the image" : size > whole + (1 << 30) ? "is too small" : undefined;
      if (problem !== undefined) {
        throw new ImageError(`mapping ${rangeText(vma)}: System V segment ${vma.object} ${problem}`, {
          file: fileName(IMAGES.mm, pid),
        });
      }
      return;
    }
    const known = this.#shared.get(vma.object);
    if (known !== undefined) known.size = Math.max(known.size, size);
    else
      this.#shared.set(vma.object, {
        size,
        flags: isHuge(vma) ? vma.flags & ~(0xffff ^ MAP.NORESERVE) : vma.flags & MAP.NORESERVE,
        fd: undefined,
      });
  }

  /** Our descriptor of the anonymous object that a mapping is of; it stays ours. @throws MemoryError, ImageError, KernelError */
  object(plan: MemoryPlan, vma: Vma): number {
    const object = this.#shared.get(vma.object);
    if (object === undefined) throw new Error(`shared memory ${vma.object} was not noted`);
    object.fd ??= naming(plan.pid, vma, () => {
      const fd = createSharedMemory(object.size, object.flags);
      try {
        fillShmem(this.images, vma.object, fd, object.size);
      } catch (error) {
        close(fd);
        throw error;
      }
      return fd;
    });
    return object.fd;
  }

  /** Attaches System V segments: each attachment is made somewhere, and its parts are moved to where they were. */
  attachSegments(steps: Steps, plan: MemoryPlan): void {
    if (plan.layout.segments.length === 0) return;
    const groups = new Map<string, Vma[]>();
    for (const vma of plan.layout.segments) {
      const key = `${vma.object}:${vma.start - vma.pgoff}:${vma.writableFile}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [vma]);
      else group.push(vma);
    }
    for (const group of groups.values()) {
      const [first] = group;
      if (first === undefined) continue;
      const object = `mapping ${rangeText(first)}`;
      naming(plan.pid, first, () => this.sysv.ready(plan.pid, first.object));
      const exec = group.some((vma) => (vma.prot & PROT.EXEC) !== 0) ? SHM.EXEC : 0;
      const flags = (first.writableFile ? 0 : SHM.RDONLY) | exec;
      const attached = steps.must(object, NR.shmat, first.object, 0, flags);
      steps.run();
      const size = pageUp(this.sysv.size(plan.pid, first.object) ?? 0);
      let at = 0;
      for (const vma of group) {
        const length = vma.end - vma.start;
        if (vma.pgoff > at) steps.must(object, NR.munmap, attached.value + at, vma.pgoff - at);
        steps.must(
          `mapping ${rangeText(vma)}`,
          NR.mremap,
          attached.value + vma.pgoff,
          length,
          length,
          MREMAP.MAYMOVE | MREMAP.FIXED,
          vma.start,
        );
        steps.must(`mapping ${rangeText(vma)}`, NR.mprotect, vma.start, length, vma.prot);
        at = vma.pgoff + length;
      }
      if (at < size) steps.must(object, NR.munmap, attached.value + at, size - at);
    }
    steps.run();
  }

  /** Closes what is ours. Never throws. */
  close(): void {
    for (const object of this.#shared.values()) {
      if (object.fd !== undefined) close(object.fd);
      object.fd = undefined;
    }
  }
}
