import { describe, expect, test } from "bun:test";
import { FEATURE_NAMES, FEATURES, isSupported, whyMissing } from "./features.ts";
import { PARTS } from "./parts.ts";
import { MissingError } from "./probe.ts";

/** What `criu --help` of CRIU 4.2 lists for --feature, in its order. */
const OF_CRIU = `
  mnt_id mem_dirty_track aio_remap timerfd tun tun_ns userns fdinfo_lock seccomp_suspend seccomp_filters loginuid
  cgroupns autofs tcp_half_closed compat_cr uffd uffd-noncoop can_map_vdso sk_ns sk_unix_file net_diag_raw nsid
  link_nsid kcmp_epoll timens external_net_ns clone3_set_tid newifindex nftables has_ipt_legacy pidfd_store ns_pid
  apparmor_stacking network_lock_nftables sockopt_buf_lock memfd_hugetlb move_mount_set_group openat2 get_rseq_conf
  ipv6_freebind pagemap_scan timer_cr_ids overlayfs_maps breakpoints pagemap_scan_guard_pages`;

test("the names are CRIU's", () => {
  expect(FEATURE_NAMES).toEqual(OF_CRIU.trim().split(/\s+/));
});

test("every feature says what it is and what cannot be saved without", () => {
  for (const { what, without } of FEATURES) {
    expect(what).not.toBe("");
    expect(without).not.toBe("");
    expect(without).not.toMatch(/\.$/);
  }
});

describe("why a feature is missing", () => {
  const feature = { category: 2, what: "a thing", without: "things", ask: () => {} } as const;

  test("nothing, where the kernel has it", () => {
    expect(whyMissing(feature)).toBeUndefined();
  });

  test("what the kernel answered", () => {
    const ask = () => {
      throw new MissingError("ioctl THING: ENOTTY");
    };
    expect(whyMissing({ ...feature, ask })).toBe("ioctl THING: ENOTTY");
  });

  test("that ours is not built, though the kernel has it", () => {
    const part = { what: "things", built: false };
    expect(whyMissing({ ...feature, part })).toBe(
      "the kernel has it, but this version of ours is without things",
    );
    expect(whyMissing({ ...feature, part: { ...part, built: true } })).toBeUndefined();
  });
});

test("what the RPC asks for is answered by name", () => {
  expect(isSupported("openat2")).toBe(true);
  expect(isSupported("mem_dirty_track")).toBe(PARTS.preDump.built);
  expect(() => isSupported("openat3")).toThrow("no feature openat3");
});
