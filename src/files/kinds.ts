/** All kinds of open files that there is support for, in the order in which they are asked whether a file is theirs. */
import { eventfd } from "./eventfd.ts";
import { fifo } from "./fifo.ts";
import type { FileKind } from "./kind.ts";
import { memfd } from "./memfd.ts";
import { pathFile } from "./path-file.ts";
import { pipe } from "./pipe.ts";

export const fileKinds: readonly FileKind[] = [memfd, pathFile, pipe, fifo, eventfd];
