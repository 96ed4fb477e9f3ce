/** Makes an executable that starts warm of one that starts cold: bun warm.ts COLD WARM. */
import { makeWarm } from "../../src/warm/make.ts";

const [cold = "", warm = ""] = process.argv.slice(2);
await makeWarm(cold, warm);
