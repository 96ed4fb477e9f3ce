/** What the programs work on: made anew from a fixed seed, the same bytes on every machine. */

import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";

/** A xorshift generator: 32 bits at a time, the same sequence for the same seed for ever. */
export function generator(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const encoder = new TextEncoder();
const chunkSize = 4 << 20;

/** Writes `size` bytes of words in lines, of which some passages come again: a compressor makes them a sixth or so. */
export function writeText(path: string, size: number): void {
  const draw = generator(1);
  const letters = "etaoinshrdlucmfw";
  const words = Array.from({ length: 8192 }, () => {
    const length = 2 + (draw() % 9);
    return encoder.encode(Array.from({ length }, () => letters[(draw() % 16) & (draw() % 16)]).join(""));
  });
  const file = openSync(path, "w");
  const chunk = new Uint8Array(chunkSize);
  for (let written = 0; written < size; ) {
    let at = 0;
    let sinceLine = 0;
    while (at < chunkSize) {
      const pick = draw();
      if ((pick & 127) === 127 && at > 8192) {
        const length = Math.min(256 + ((pick >>> 7) & 2047), chunkSize - at, at);
        const from = (pick >>> 9) % (at - length + 1);
        chunk.copyWithin(at, from, from + length);
        at += length;
        continue;
      }
      // Some words are frequent, as in a language.
      const word = words[(pick & 3) === 0 ? pick >>> 19 : (pick >>> 8) & 0xff] ?? chunk.subarray(0, 0);
      const separator = ++sinceLine > 9 ? 10 : 32;
      if (separator === 10) sinceLine = 0;
      for (let i = 0; i < word.length && at < chunkSize; i++) chunk[at++] = word[i] ?? 0;
      if (at < chunkSize) chunk[at++] = separator;
    }
    const length = Math.min(chunkSize, size - written);
    writeSync(file, chunk, 0, length);
    written += length;
  }
  closeSync(file);
}

/** Writes a C source of `functions` functions that keep an optimizing compiler busy: loops, switches, arithmetic. */
export function writeSource(path: string, functions: number): void {
  const draw = generator(2);
  const upTo = (limit: number) => draw() % limit;
  const operand = () => ["a", "b", "c", "t[i & 63]", "(x >> 3)", String(upTo(1000) + 1)][upTo(6)] ?? "a";
  const operator = () => ["+", "-", "*", "^", "|", "&"][upTo(6)] ?? "+";
  const expression = (): string => `(${operand()} ${operator()} ${operand()}) ${operator()} ${operand()}`;
  const parts = [
    "/* Generated: nothing in it means anything. */",
    "#include <math.h>",
    "#include <stdint.h>",
    "#include <string.h>",
    "struct record { int64_t key; double weight; char name[24]; };",
    "extern void sink(int64_t);",
  ];
  for (let f = 0; f < functions; f++) {
    const cases = Array.from(
      { length: 6 + upTo(8) },
      (_, n) => `      case ${n * 3}: x ${operator()}= ${expression()}; break;`,
    );
    parts.push(
      `${f % 5 === 0 ? "" : "static "}int64_t work${f}(int64_t a, int64_t b, struct record *r, int n)`,
      "{",
      `  int64_t t[64], x = ${upTo(1 << 20)}, c = a ^ b;`,
      `  for (int i = 0; i < 64; i++) t[i] = ${expression()} + i;`,
      "  for (int i = 0; i < n; i++) {",
      "    switch ((x + r[i].key) % 40) {",
      ...cases,
      `      default: x += (int64_t)(sqrt(r[i].weight + ${upTo(99)}) * ${1 + upTo(9)}.5);`,
      "    }",
      `    for (int k = 0; k < ${4 + upTo(12)}; k++) t[(i + k) & 63] += x * k ${operator()} ${expression()};`,
      `    if (memcmp(r[i].name, "name${upTo(100)}", 6) == 0) r[i].weight *= 1.0 / (1 + (x & 7));`,
      "  }",
      ...(f % 5 === 0
        ? []
        : [
            `  if (n > ${upTo(50)}) x ^= work${f - 1}(b, ${f >= 2 ? `work${f - 2 - ((f - 2) % 5)}` : "work0"}(a, x, r, n / 2), r, n - 1);`,
          ]),
      "  sink(x);",
      "  return x ^ t[x & 63];",
      "}",
      "",
    );
  }
  writeFileSync(path, parts.join("\n"));
}
