/** The machine that we run on. */
import type { Machine } from "./runner.ts";
import { x86_64 } from "./x86_64.ts";

function machineOf(arch: string): Machine {
  if (arch === "x64") return x86_64;
  throw new Error(`criu-ts runs on x86-64 only; this is ${arch}`);
}

export const hostMachine: Machine = machineOf(process.arch);
