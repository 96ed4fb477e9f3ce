#!/usr/bin/env bun
// Makes src/machine/generated/*.ts of the machine programs in src/machine/: `npm run generate`.
//
// To assemble them takes 0.5 ms in a program that has just started (every step of the assembler runs for the first
// time), to read them as constants 0.02 ms.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../src/machine/runner.ts";
import { x86_64 } from "../src/machine/x86_64.ts";

/** A value as TypeScript, formatted as Biome formats it. */
function print(value: unknown, indent: string): string {
  if (value instanceof Uint8Array) {
    const hex = `"${value.toHex()}"`;
    return hex.length < 80
      ? `Uint8Array.fromHex(${hex})`
      : `Uint8Array.fromHex(\n${indent}  ${hex},\n${indent})`;
  }
  if (Array.isArray(value)) return `[${value.map((each) => print(each, indent)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const fields = Object.entries(value).map(([name, field]) => `${inner}${name}: ${print(field, inner)},\n`);
  return `{\n${fields.join("")}${indent}}`;
}

/** The text of the module that holds a machine's programs. */
export function printMachine(machine: Machine): string {
  return `// Made by scripts/generate-machine.ts of src/machine/${machine.name}.ts; not to be edited.
import type { Machine } from "../runner.ts";

export const ${machine.name}: Machine = ${print(machine, "")};
`;
}

if (import.meta.main) {
  const directory = join(import.meta.dirname, "../src/machine/generated");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "x86_64.ts"), printMachine(x86_64));
}
