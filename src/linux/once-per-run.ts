/**
 * The run that we are in. The executable starts from a snapshot of itself, taken when it had done its work many times
 * (docs/architecture.md), so what a module knows about the machine or about ourselves may be of another day: whatever is
 * found out once is found out with `oncePerRun`, and asked of the kernel rather than of the runtime, which keeps answers.
 */

let run = 0;

/** A value that is found out when it is first asked for, and again in every run. */
export function oncePerRun<T>(find: () => T): () => T {
  let of = -1;
  let found: T;
  return () => {
    if (of !== run) {
      found = find();
      of = run;
    }
    return found;
  };
}

/** Another run begins: nothing is known. */
export function beginRun(): void {
  run++;
}
