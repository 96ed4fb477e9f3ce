/** The machine that we run on. */
import { x86_64 } from "./generated/x86_64.ts";
import type { Machine } from "./runner.ts";

function machineOf(arch: string): Machine {
  if (arch === "x64") return x86_64;
  throw new Error(`criu-ts runs on x86-64 only; this is ${arch}`);
}

export const hostMachine: Machine = machineOf(process.arch);
