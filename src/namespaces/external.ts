/**
 * Namespaces that are not saved: a dump calls them by a name (--external net[INODE]:NAME), and a restore is given others of that
 * name (--inherit-fd fd[N]:NAME).
 */
import { type Options, parseInheritFd } from "../options.ts";
import { ImageValueError } from "../process/errors.ts";

/** The name of a namespace of a kind, by the number of its file in /proc; undefined for one that is to be saved. */
export function externalName(
  options: Pick<Options, "external">,
  kind: string,
  inode: number,
): string | undefined {
  const start = `${kind}[${inode}]:`;
  return options.external.find((entry) => entry.startsWith(start))?.slice(start.length);
}

/** Our descriptor of the namespace of a name, lent; `image` is the file that asks for it. @throws ImageValueError */
export function inheritedNamespace(options: Pick<Options, "inheritFd">, name: string, image: string): number {
  const given = options.inheritFd.map(parseInheritFd).find(({ key }) => key === name);
  if (given !== undefined) return given.fd;
  throw new ImageValueError(`${image}: an external namespace, which --inherit-fd fd[N]:${name} is to give`);
}
