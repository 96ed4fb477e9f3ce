/** The command line of a process, out of the pages that are stored of it. */
import { Fd } from "../../linux/fd.ts";
import { O, read, regularSize } from "../../linux/io.ts";
import { textOf } from "../../linux/text.ts";

/** Memory from `start` to `end` that stands in the pages file at `offset`. */
export interface Extent {
  readonly start: number;
  readonly end: number;
  readonly offset: number;
}

/** No more of a command line is of use to a person. */
const MOST = 4096;

export class WordsReader {
  readonly extents: Extent[] = [];
  private readonly end: number;

  /** The words stand from `start` to `end` in the memory, each with a zero behind it. */
  constructor(
    private readonly start: number,
    end: number,
  ) {
    this.end = Math.min(end, start + MOST);
  }

  wants({ start, end }: Extent): boolean {
    return start < this.end && end > this.start;
  }

  /** undefined where not all of them are stored. @throws KernelError */
  read(pagesPath: string): string[] | undefined {
    if (this.end <= this.start) return undefined;
    const bytes = new Uint8Array(this.end - this.start);
    let done = 0;
    using pages = Fd.open(pagesPath, O.RDONLY | O.NONBLOCK);
    if (regularSize(pages.number) === undefined) return undefined;
    for (const { start, end, offset } of this.extents) {
      const from = Math.max(start, this.start);
      const to = Math.min(end, this.end);
      if (to <= from) continue;
      done += read(pages.number, bytes.subarray(from - this.start, to - this.start), offset + from - start);
    }
    if (done < bytes.length) return undefined;
    const words = textOf(bytes, 0, bytes.length).split("\0");
    if (words.at(-1) === "") words.pop();
    return words;
  }
}
