/** What crit has to say when it fails, in one line; its exit code is 1 then. */
export class CritError extends Error {
  override readonly name = "CritError";
}
