import { version } from "../package.json";

/** The CRIU release whose command line, images and RPC these are. */
export const CRIU_VERSION = "4.2";

/** Our own version. */
export const VERSION: string = version;

/** What `--version` prints, but for the last line end. Engines read the first line; the second is ours. */
export function versionText(): string {
  return `Version: ${CRIU_VERSION}\ncriu-ts: ${VERSION}`;
}
