/**
 * Instants, for tests of what our death leaves: `CRIU_TS_DEATH=17` in the environment has us die by SIGKILL just before the
 * 17th change that we make outside of ourselves: to another process, or one that the undo list knows of.
 */
import { kill } from "./kill.ts";
import { ourPid } from "./ourselves.ts";

const SIGKILL = 9;
let untilDeath = 0;

/** Has the `count`th instant from now be our last; with 0, none. */
export function armDeath(count: number): void {
  untilDeath = count;
}

/** Whether a test waits for an {@link instant}: then no two changes are to be made in one native call. */
export function instantsMatter(): boolean {
  return untilDeath > 0;
}

/** Marks an instant just before such a change; where a test asked for it, it is our last. */
export function instant(): void {
  if (untilDeath > 0 && --untilDeath === 0) kill(ourPid(), SIGKILL);
}
