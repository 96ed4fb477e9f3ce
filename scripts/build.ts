/**
 * Compiles the executables: `npm run build` makes dist/criu.
 *
 * The choices, each measured on a start of `dist/criu --version`:
 * - bytecode: the source is not parsed at start;
 * - splitting: what is imported dynamically is a piece of its own, and its bytecode is not looked at until then
 *   (with 15,000 functions behind an import that does not happen, a start takes 6 ms with and 11 ms without);
 * - not minified: it starts no faster, and a stack trace stays readable.
 * No `.env` and no `bunfig.toml` is read: we run as root in directories of others, and either would let them
 * change what we do.
 */

import { chmodSync, mkdirSync, statSync } from "node:fs";

const programs = [{ entry: "src/main.ts", outfile: "dist/criu" }];

process.chdir(`${import.meta.dir}/..`);
mkdirSync("dist", { recursive: true });

for (const { entry, outfile } of programs) {
  const result = await Bun.build({
    entrypoints: [entry],
    target: "bun",
    format: "esm",
    splitting: true,
    bytecode: true,
    minify: false,
    compile: {
      outfile,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
  for (const message of result.logs) console.error(String(message));
  if (!result.success) process.exit(1);
  chmodSync(outfile, 0o755);
  console.log(`${outfile}: ${(statSync(outfile).size / 2 ** 20).toFixed(0)} MiB`);
}
