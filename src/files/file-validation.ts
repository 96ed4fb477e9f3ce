/** Whether the file at a path is still the one that was dumped: by its mode, its size, and, if asked for, its build id. */
import { openToRead } from "../images/ghost-file.ts";
import type { RegFileEntry } from "../images/schema/generated/files.ts";
import { O, S, selfPath, withFd } from "../linux/io.ts";
import { type FileStatus, statusOf } from "../linux/statx.ts";
import { log } from "../log.ts";
import { readBuildId } from "./build-id.ts";
import { restoring } from "./errors.ts";
import type { FilesRestoreOptions, FileValidation } from "./kind.ts";
import { failureOf, placeOf } from "./named-files.ts";
import type { OpenFile } from "./open-file.ts";
import { openPath } from "./path.ts";

const EXECUTABLE = 0o111;
/** Of a mode, what --skip-file-rwx-check leaves uncompared. */
const PERMISSIONS = 0o777;

/** Takes note of a regular file's size and build id in its entry. @throws KernelError, FileDumpError */
export function noteContent(entry: RegFileEntry, file: OpenFile, how: FileValidation): void {
  if (file.format !== S.IFREG || isLogOnly(file.flags)) return;
  entry.size = BigInt(file.status.size);
  if (how !== "buildid" || !mayBeProgram(file)) return;
  const buildId = withFd(openToRead(file), readBuildId);
  if (buildId !== undefined) entry.build_id = buildId;
}

/** Whether a file's build id is worth looking for: it is mapped or run, or could be run. */
function mayBeProgram({ role, status }: OpenFile): boolean {
  return typeof role !== "number" || (status.mode & EXECUTABLE) !== 0;
}

/** What is only ever appended to grows between dump and restore, and may. */
function isLogOnly(flags: number): boolean {
  return (flags & O.ACCMODE) === O.WRONLY && (flags & O.APPEND) !== 0;
}

/** How a restore compares. */
export type ContentOptions = Pick<FilesRestoreOptions, "skipFileRwxCheck" | "fileValidation">;

/** @throws FileRestoreError where mode or size are others than they were */
export function compareStatus(
  entry: RegFileEntry,
  { mode, size }: Pick<FileStatus, "mode" | "size">,
  { skipFileRwxCheck }: ContentOptions,
): void {
  const compared = skipFileRwxCheck ? ~PERMISSIONS : ~0;
  if (entry.mode !== undefined && ((mode ^ entry.mode) & compared) !== 0) {
    const modes = `mode 0${mode.toString(8)} where it was 0${entry.mode.toString(8)}`;
    throw failureOf(entry, `it is not what was dumped: ${modes}`);
  }
  if (entry.size !== undefined && size !== Number(entry.size))
    throw failureOf(entry, `it is not what was dumped: ${size} bytes where it had ${entry.size}`);
}

/** Compares all; `fd` is our descriptor of the file, lent. @throws FileRestoreError */
export function checkContent(entry: RegFileEntry, fd: number, options: ContentOptions): void {
  if (entry.mode === undefined && entry.size === undefined) return;
  compareStatus(entry, statusOf(fd), options);
  if (entry.build_id.length === 0 || options.fileValidation !== "buildid") return;
  const buildId = restoring(placeOf(entry), () => withFd(openPath(selfPath(fd), O.RDONLY), readBuildId));
  if (buildId === undefined)
    log.info("files/file-validation", `${entry.name}: no build id, only its size was compared`);
  else if (buildId.length !== entry.build_id.length || buildId.some((word, i) => word !== entry.build_id[i]))
    throw failureOf(entry, "it is not what was dumped: another build id");
}
