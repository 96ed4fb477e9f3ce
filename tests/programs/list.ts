/** The programs of Debian that are taken through dump and restore while they work. */

import { join } from "node:path";
import { writeSource, writeText } from "./data.ts";

export interface Program {
  name: string;
  /** Executables that must be found; the set-up installs them. */
  needs: string[];
  /** Run by `sh -c` in an empty directory. `$INPUT` is the directory of inputs, `$PROGRAMS` the one of this file. */
  script: string;
  /** What of the directory is compared beside the standard output, the standard errors and the exit status. */
  outputs: string[];
}

/** Writes what the programs work on. */
export function writeInputs(dir: string): void {
  writeText(join(dir, "text"), 200_000_000);
  writeText(join(dir, "short-text"), 80_000_000);
  writeSource(join(dir, "large.c"), 1000);
}

const secret = "00112233445566778899aabbccddeeff";

export const programs: Program[] = [
  { name: "xz", needs: ["xz"], script: "xz -T2 -0 -c $INPUT/text >text.xz", outputs: ["text.xz"] },
  {
    name: "zstd",
    needs: ["zstd"],
    script: "zstd -T2 -8 -q $INPUT/text -o text.zst",
    outputs: ["text.zst"],
  },
  {
    name: "sort",
    needs: ["sort"],
    script: "mkdir aside && LC_ALL=C sort --parallel=2 -S 8M -T aside $INPUT/text >sorted && ls aside",
    outputs: ["sorted"],
  },
  {
    name: "pipeline",
    needs: ["gzip", "sha256sum"],
    script: "cat $INPUT/short-text | gzip | sha256sum",
    outputs: [],
  },
  {
    name: "python-dict",
    needs: ["/usr/bin/python3"],
    script: "/usr/bin/python3 $PROGRAMS/dict.py",
    outputs: [],
  },
  {
    name: "python-threads",
    needs: ["/usr/bin/python3"],
    script: "/usr/bin/python3 $PROGRAMS/threads.py",
    outputs: [],
  },
  {
    name: "python-processes",
    needs: ["/usr/bin/python3"],
    script: "/usr/bin/python3 $PROGRAMS/processes.py",
    outputs: [],
  },
  { name: "perl", needs: ["perl"], script: "perl $PROGRAMS/words.perl", outputs: [] },
  { name: "bc", needs: ["bc"], script: "bc -q $PROGRAMS/digits.bc", outputs: [] },
  {
    name: "gcc",
    needs: ["gcc"],
    script: "cp $INPUT/large.c . && TMPDIR=. gcc -O2 -c large.c -o large.o",
    outputs: ["large.o"],
  },
  {
    name: "bash",
    needs: ["bash"],
    script: "bash $PROGRAMS/jobs.sh",
    outputs: ["part.1", "part.2", "part.3"],
  },
  // SHA-512 in a loop that leaves the vector registers almost never: a lost half of one changes the key.
  {
    name: "openssl-kdf",
    needs: ["openssl"],
    script:
      "openssl kdf -keylen 64 -kdfopt digest:SHA512 -kdfopt pass:word -kdfopt salt:salt -kdfopt iter:4000000 PBKDF2",
    outputs: [],
  },
  {
    name: "openssl-pipeline",
    needs: ["openssl"],
    script:
      `head -c 1500000000 /dev/zero | openssl enc -chacha20 -K ${secret}${secret} -iv ${secret} | ` +
      `openssl enc -aes-256-ctr -K ${secret}${secret} -iv ${secret} | openssl dgst -blake2b512`,
    outputs: [],
  },
];
