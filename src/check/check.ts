/** `criu check`: whether this kernel, and what is built of us, can save and restore process trees. */
import { CAP_CHECKPOINT_RESTORE, hasCapability } from "../linux/capability.ts";
import { log, say } from "../log.ts";
import { OptionError, type Options } from "../options.ts";
import { type Category, FEATURE_NAMES, FEATURES, type Feature, featureOf, whyMissing } from "./features.ts";

const CAP_SYS_ADMIN = 21;

/** The exit code: 0 where everything that was asked for is there, otherwise 1. @throws OptionError for an unknown feature */
export function check(options: Options): number {
  const { feature: names } = options;
  if (names.includes("list")) {
    say(`${FEATURE_NAMES.join("\n")}\n`);
    return 0;
  }
  const features = names.map((name) => {
    const feature = featureOf(name);
    if (feature === undefined) throw new OptionError(`Unknown feature ${name}`);
    return { name, feature };
  });
  if (!hasCapability(CAP_SYS_ADMIN) && !hasCapability(CAP_CHECKPOINT_RESTORE)) {
    log.error("check", "CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE is needed");
    return 1;
  }
  return features.length > 0 ? checkNamed(features) : checkCategories(options);
}

function checkNamed(features: readonly { readonly name: string; readonly feature: Feature }[]): number {
  let code = 0;
  for (const { name, feature } of features) {
    const why = whyMissing(feature);
    if (why === undefined) say(`${name} is supported\n`);
    else {
      warn(feature, why);
      code = 1;
    }
  }
  return code;
}

function checkCategories(options: Options): number {
  if (!checkCategory(1)) {
    log.warn("check", "Does not look good.");
    return 1;
  }
  const wanted: Category[] = [];
  if (options.extra) wanted.push(2);
  if (options.experimental) wanted.push(3);
  const good = wanted.map(checkCategory);
  if (good.includes(false)) {
    say(
      "Looks good but some kernel features are missing\n" +
        "which, depending on your process tree, may cause\n" +
        "dump or restore failure.\n",
    );
    return 1;
  }
  say("Looks good.\n");
  return 0;
}

/** Whether all of a category are there. */
function checkCategory(category: Category): boolean {
  let good = true;
  for (const feature of FEATURES) {
    if (feature.category !== category) continue;
    const why = whyMissing(feature);
    if (why === undefined) {
      log.info("check", `${nameOf(feature)} is there`);
      continue;
    }
    good = false;
    if (category === 1) log.error("check", sentence(feature, why));
    else warn(feature, why);
  }
  return good;
}

function warn(feature: Feature, why: string): void {
  log.warn("check", sentence(feature, why));
}

function nameOf({ name, what }: Feature): string {
  return name === undefined || name === what ? what : `${name} (${what})`;
}

function sentence(feature: Feature, why: string): string {
  return `${nameOf(feature)}: ${why}; what cannot be saved without it: ${feature.without}`;
}
