/** Capabilities (capabilities(7)). */
import { readText } from "./io.ts";

/** The number of the kernel's highest capability. */
export function lastCapability(): number {
  return Number(readText("/proc/sys/kernel/cap_last_cap"));
}
