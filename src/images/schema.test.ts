// The generated code against its schema, and against another implementation of protobuf. Needs the generator's
// parser, which is a development dependency.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CODECS, randomOf, sample } from "./samples.test-support.ts";
import { decode, encode } from "./wire.ts";

const SCHEMA = join(import.meta.dirname, "schema");
const GENERATED = join(SCHEMA, "generated");

const parser = await import("protobufjs").then(
  (module) => module.default,
  () => undefined,
);
if (parser === undefined) console.log("skipped: protobufjs, which the generator needs, is not installed");

describe.skipIf(parser === undefined)("schema/generated", () => {
  test("is what the generator makes of the schema (else: npm run generate)", async () => {
    const { generate } = await import("../../scripts/generate-images.ts");
    const made = generate();
    expect(readdirSync(GENERATED).sort()).toEqual([...made.keys()].sort());
    for (const [name, content] of made) {
      expect(readFileSync(join(GENERATED, name), "utf8") === content ? "up to date" : `${name} is not`).toBe(
        "up to date",
      );
    }
  });

  test("writes and reads the bytes that protobufjs does", () => {
    if (parser === undefined) return;
    const root = new parser.Root();
    for (const name of readdirSync(SCHEMA)) {
      if (!name.endsWith(".proto") || name === "options.proto") continue;
      parser.parse(readFileSync(join(SCHEMA, name), "utf8"), root, { keepCase: true });
    }
    root.resolveAll();
    for (const [name, codec] of CODECS) {
      const random = randomOf(name.length + 99);
      const type = root.lookupType(name);
      for (let round = 0; round < 6; round++) {
        // protobufjs does not keep text that is not UTF-8.
        const message = sample(name, random, { all: round % 2 === 0, plain: true });
        const encoded = encode(codec, message);
        const theirs = type.encode(type.decode(encoded)).finish();
        expect(`${name} ${Uint8Array.from(theirs).toHex()}`).toBe(`${name} ${encoded.toHex()}`);
        expect(decode(codec, Uint8Array.from(theirs))).toStrictEqual(message);
      }
    }
  });
});
