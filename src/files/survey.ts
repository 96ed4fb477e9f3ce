/**
 * Looking at a whole table of descriptors at once, a few kernel calls for each in native loops (linux/blocks.ts).
 *
 * First what every descriptor needs, to see whether it leads to a description that is known; then, of those that are
 * not, where /proc says they lead and what stands there.
 */

import { Blocks, lazily } from "../linux/blocks.ts";
import { KernelError } from "../linux/errno.ts";
import { F } from "../linux/fcntl.ts";
import { AT, O, open, SEEK, withFd } from "../linux/io.ts";
import { NR } from "../linux/nr.ts";
import type { TreeMounts } from "../linux/path-at.ts";
import type { HostPid } from "../linux/pid.ts";
import { type FileStatus, STATX, statusIn } from "../linux/statx.ts";
import { textOf, writeText } from "../linux/text.ts";
import { resultAt } from "../machine/entries.ts";

/** What a descriptor leads to. */
export interface Sight {
  readonly fd: number;
  readonly status: FileStatus;
  /** F_GETFL. */
  readonly flags: number;
  /** lseek(2) by nothing from where it stands: the offset's halves, or those of a negative errno. */
  readonly offsetLow: number;
  readonly offsetHigh: number;
  /** F_GETSIG and F_GETOWN; negative where the descriptor is O_PATH. */
  readonly signal: number;
  readonly owner: number;
  /** What /proc/PID/fd shows, and what stands at that path (a negative errno where nothing does): see `follow`. */
  link: string | undefined;
  there: FileStatus | number | undefined;
}

/** Descriptors per run. */
const CHUNK = 128;
const LINK_SIZE = 512;
const NAME_SIZE = 16;

/** Steps of the first look; before each that needs our copy of the descriptor comes a move of its number. */
const FIRST = { GETFD: 0, STATX: 6, GETFL: 7, LSEEK: 8, GETSIG: 9, GETOWN: 10, CLOSE: 12 } as const;
const MOVED = [FIRST.STATX, FIRST.GETFL, FIRST.LSEEK, FIRST.GETSIG, FIRST.GETOWN];
/** Bytes of a block: an empty path, which nobody writes to, and what is seen. */
const EMPTY_SIZE = 8;

const firstLook = lazily(
  () =>
    new Blocks(
      { capacity: CHUNK, entries: FIRST.CLOSE + 1, bytes: EMPTY_SIZE + STATX.SIZE },
      (blocks, block) => {
        const own = blocks.address + blocks.bytesOf(block);
        const at = (step: number) => blocks.entryOf(block, step);
        blocks.entry(at(FIRST.GETFD), NR.pidfd_getfd, 0, 0, 0);
        MOVED.forEach((step, i) => {
          blocks.move(at(1 + i), at(FIRST.GETFD), at(step), 0);
        });
        blocks.entry(at(FIRST.STATX), NR.statx, 0, own, STATX.EMPTY_PATH, STATX.MASK, own + EMPTY_SIZE);
        blocks.entry(at(FIRST.GETFL), NR.fcntl, 0, F.GETFL);
        blocks.entry(at(FIRST.LSEEK), NR.lseek, 0, 0, SEEK.CUR);
        blocks.entry(at(FIRST.GETSIG), NR.fcntl, 0, F.GETSIG);
        blocks.entry(at(FIRST.GETOWN), NR.fcntl, 0, F.GETOWN);
        blocks.move(at(FIRST.CLOSE - 1), at(FIRST.GETFD), at(FIRST.CLOSE), 0);
        blocks.entry(at(FIRST.CLOSE), NR.close, 0);
      },
    ),
);

const SECOND = { READLINK: 0, THERE: 1 } as const;
const LINK_AT = NAME_SIZE;
const THERE_AT = LINK_AT + LINK_SIZE;

const secondLook = lazily(
  () =>
    new Blocks({ capacity: CHUNK, entries: 2, bytes: THERE_AT + STATX.SIZE }, (blocks, block) => {
      const own = blocks.address + blocks.bytesOf(block);
      const link = own + LINK_AT;
      blocks.entry(blocks.entryOf(block, SECOND.READLINK), NR.readlinkat, 0, own, link, LINK_SIZE);
      const there = blocks.entryOf(block, SECOND.THERE);
      blocks.entry(
        there,
        NR.statx,
        AT.FDCWD,
        link,
        STATX.FOLLOW_NOTHING | STATX.EMPTY_PATH,
        STATX.MASK,
        own + THERE_AT,
      );
    }),
);

/** What the descriptors of a process lead to, in their order. @throws KernelError */
export function look(pid: HostPid, pidfd: number, fds: readonly number[]): Sight[] {
  const blocks = firstLook();
  const { words } = blocks;
  const sights: Sight[] = [];
  blocks.forEach(
    fds,
    (fd, block) => {
      blocks.give(block, FIRST.GETFD, 0, pidfd);
      blocks.give(block, FIRST.GETFD, 1, fd);
    },
    (fd, block) => {
      const copy = blocks.result(block, FIRST.GETFD);
      if (copy < 0) throw new KernelError("pidfd_getfd", `of process ${pid}: descriptor ${fd}`, -copy);
      const seek = resultAt(blocks.entryOf(block, FIRST.LSEEK));
      sights.push({
        fd,
        status: statusIn(words, (blocks.bytesOf(block) + EMPTY_SIZE) / 4),
        flags: blocks.result(block, FIRST.GETFL),
        offsetLow: words[seek] ?? 0,
        offsetHigh: (words[seek + 1] ?? 0) | 0,
        signal: blocks.result(block, FIRST.GETSIG),
        owner: blocks.result(block, FIRST.GETOWN),
        link: undefined,
        there: undefined,
      });
    },
  );
  return sights;
}

/** Fills in `link` and `there`, where the link is not too long. @throws KernelError */
export function follow(pid: HostPid, sights: readonly Sight[], mounts: TreeMounts): void {
  if (sights.length === 0) return;
  const blocks = secondLook();
  const { bytes, words } = blocks;
  withFd(open(`/proc/${pid}/fd`, O.PATH | O.DIRECTORY), (directory) => {
    blocks.forEach(
      sights,
      ({ fd, status }, block) => {
        const own = blocks.bytesOf(block);
        bytes.fill(0, own, own + THERE_AT);
        writeText(bytes, own, String(fd));
        blocks.give(block, SECOND.READLINK, 0, directory);
        const root = mounts.rootFor(status.mntId);
        const there = blocks.entryOf(block, SECOND.THERE);
        // From a root without the slash; what is left of the root itself is nothing.
        blocks.setArgument(there, 0, root);
        blocks.setArgument(there, 1, blocks.address + own + LINK_AT + (root === AT.FDCWD ? 0 : 1));
      },
      (sight, block) => {
        const own = blocks.bytesOf(block);
        const length = blocks.result(block, SECOND.READLINK);
        // A longer one is left to be found by itself.
        if (length < 0 || length >= LINK_SIZE) return;
        sight.link = textOf(bytes, own + LINK_AT, own + LINK_AT + length);
        const result = blocks.result(block, SECOND.THERE);
        sight.there = result < 0 ? result : statusIn(words, (own + THERE_AT) / 4);
      },
    );
  });
}
