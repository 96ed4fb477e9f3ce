import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { printMachine } from "../../scripts/generate-machine.ts";
import * as generated from "./generated/x86_64.ts";
import * as assembled from "./x86_64.ts";

test("the programs that are used are the ones that stand here: if not, `npm run generate`", () => {
  expect(generated.x86_64).toEqual(assembled.x86_64);
  const text = readFileSync(join(import.meta.dirname, "generated/x86_64.ts"), "utf8");
  expect(text).toBe(printMachine(assembled.x86_64));
});
