/**
 * Faults on purpose, for tests: with CRIU_TS_FAULT=dump/frozen in the environment, the stage of that name fails. What
 * follows is what would follow any failure there.
 */
export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
}

const wanted = process.env.CRIU_TS_FAULT;

/** Marks a stage; throws {@link InjectedFault} when a test asked for its failure. */
export function stage(name: string): void {
  if (wanted === name) throw new InjectedFault(`stage ${name} fails as asked`);
}
