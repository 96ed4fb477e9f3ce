/** Security modules with profiles of processes: AppArmor and SELinux. */
import { exists } from "../linux/io.ts";
import { UnsupportedError } from "./errors.ts";

/** Where each shows that it is at work. */
const MODULES: Readonly<Record<string, string>> = {
  apparmor: "/sys/kernel/security/apparmor/profiles",
  selinux: "/sys/fs/selinux/enforce",
};

/** `--lsm-profile TYPE:NAME`, which this kernel, or we, cannot give. @throws UnsupportedError */
export function refuseProfile(profile: string | undefined): void {
  if (profile === undefined) return;
  const type = profile.slice(0, profile.indexOf(":"));
  const path = MODULES[type];
  const here = path !== undefined && exists(path);
  throw new UnsupportedError(
    here
      ? `--lsm-profile ${profile}: profiles of ${type} cannot be given yet`
      : `--lsm-profile ${profile}: ${type} is not at work in this kernel`,
  );
}
