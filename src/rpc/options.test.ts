import { describe, expect, test } from "bun:test";
import { MESSAGES } from "../images/schema/generated/fields.ts";
import { CriuOpts, CriuReq, CriuReqType } from "../images/schema/generated/rpc.ts";
import { decode, encode } from "../images/wire.ts";
import { CpuCap, defaultOptions, OPTIONS, OptionError, type Options, withGiven } from "../options.ts";
import { decodeRequest, RequestError } from "./connection.ts";
import { givenBy, hasMeaning, type Peer } from "./options.ts";

const peer: Peer = { directory: (field, fd) => `/dir/${field}/${fd}`, descriptor: (_, fd) => fd + 100 };

/** criu_opts with some fields, as a client sends it. */
function opts(some: Partial<CriuOpts>): CriuOpts {
  const none = decode(CriuOpts, Uint8Array.of(0x08, 3));
  return decode(CriuOpts, encode(CriuOpts, { ...none, ...some }));
}

function optionsOf(some: Partial<CriuOpts>, before: Options = defaultOptions()): Options {
  return withGiven(before, givenBy(opts(some), peer));
}

const fields = (MESSAGES.criu_opts ?? []).map(({ name }) => name);

describe("criu_opts", () => {
  test.each(fields)("%s has a meaning", (field) => {
    expect(hasMeaning(field as keyof CriuOpts)).toBe(true);
  });

  test("has every field that the table of options names", () => {
    const inside: Record<string, string[]> = {
      ps: (MESSAGES.criu_page_server_info ?? []).map(({ name }) => name),
    };
    for (const { long, rpc } of OPTIONS) {
      if (rpc === undefined) continue;
      const [message = "", field] = rpc.split(".");
      expect({ long, known: fields.includes(message) }).toEqual({ long, known: true });
      if (field !== undefined)
        expect({ long, known: inside[message]?.includes(field) }).toEqual({ long, known: true });
    }
  });

  test("without anything gives nothing", () => {
    expect(optionsOf({})).toEqual(defaultOptions());
  });

  test("false overrides what a configuration file has turned on", () => {
    const before = { ...defaultOptions(), tcpEstablished: true, leaveRunning: true, fileLocks: true };
    const after = optionsOf({ tcp_established: false, leave_running: false, file_locks: true }, before);
    expect(after).toMatchObject({ tcpEstablished: false, leaveRunning: false, fileLocks: true });
  });

  test.each([
    [{ pid: 7 }, { tree: 7 }],
    [{ leave_running: true }, { leaveRunning: true }],
    [{ leave_stopped: true }, { leaveStopped: true }],
    [{ log_level: 4 }, { verbosity: 4 }],
    [{ log_level: 0 }, { verbosity: 0 }],
    [{ log_file: "dump.log" }, { logFile: "dump.log" }],
    [{ images_dir: "/a" }, { imagesDir: "/a" }],
    [{ work_dir_fd: 5 }, { workDir: "/dir/work_dir_fd/5" }],
    [{ status_fd: 5 }, { statusFd: 105 }],
    [
      { root: "/r", parent_img: "../p", freeze_cgroup: "/g" },
      { root: "/r", prevImagesDir: "../p", freezeCgroup: "/g" },
    ],
    [{ ext_unix_sk: true }, { extUnixSk: [] }],
    [{ unix_sk_ino: [{ inode: 12 }, { inode: 13 }] }, { extUnixSk: ["12", "13"] }],
    [
      { ghost_limit: 5000, timeout: 3 },
      { ghostLimit: 5000, timeout: 3 },
    ],
    [{ cpu_cap: CpuCap.fpu | CpuCap.cpu }, { cpuCap: CpuCap.fpu | CpuCap.cpu | CpuCap.image }],
    [{ cpu_cap: 0xffff_ffff }, { cpuCap: CpuCap.all | CpuCap.image }],
    [{ manage_cgroups: true }, { manageCgroups: "soft" }],
    [{ manage_cgroups: false }, { manageCgroups: "ignore" }],
    [{ manage_cgroups: true, manage_cgroups_mode: 5 }, { manageCgroups: "strict" }],
    [{ manage_cgroups_mode: 6 }, { manageCgroups: "soft" }],
    [{ manage_cgroups_mode: 0 }, { manageCgroups: "ignore" }],
    [{ network_lock: 3 }, { networkLock: "skip" }],
    [{ pre_dump_mode: 2 }, { preDumpMode: "read" }],
    [{ cg_root: [{ path: "/a" }, { ctrl: "cpu", path: "/b" }] }, { cgroupRoot: ["/a", "cpu:/b"] }],
    [{ external: ["mnt[]:sm", "net[4026531840]:n"] }, { external: ["mnt[]:sm", "net[4026531840]:n"] }],
    [
      { ext_mnt: [{ key: "/a:b", val: "/c" }], auto_ext_mnt: true },
      { external: ["mnt[/a:b]:/c"], extMountMap: ["auto"] },
    ],
    [{ veths: [{ if_in: "eth0", if_out: "v@br" }] }, { external: ["veth[eth0]:v@br"] }],
    [{ inherit_fd: [{ key: "pipe:[12]", fd: 4 }] }, { inheritFd: ["fd[4]:pipe:[12]"] }],
    [
      {
        join_ns: [
          { ns: "net", ns_file: "/n" },
          { ns: "user", ns_file: "/u", extra_opt: "0,0" },
        ],
      },
      { joinNs: ["net:/n", "user:/u,0,0"] },
    ],
    [{ empty_ns: 0x4000_0000 }, { emptyNs: ["net"] }],
    [{ empty_ns: 0 }, { emptyNs: [] }],
    [
      { enable_fs: ["a", "b"], skip_mnt: ["/s"], irmap_scan_paths: ["/i"] },
      { enableFs: ["a", "b"], skipMnt: ["/s"], irmapScanPath: ["/i"] },
    ],
    [
      { cgroup_props: "x", cgroup_dump_controller: ["cpu"], cgroup_yard: "/y" },
      { cgroupProps: "x", cgroupDumpController: ["cpu"], cgroupYard: "/y" },
    ],
    [{ exec_cmd: ["sleep", "1"] }, { execCmd: true }],
    [{ exec_cmd: [] }, { execCmd: false }],
    [{ ps: { address: "::1", port: 27 } }, { pageServer: true, address: "::1", port: 27 }],
    [{ ps: { port: 0, fd: 9 } }, { pageServer: true, port: undefined, psSocket: 9 }],
    [
      { ps: { address: "::1", port: 27 }, lazy_pages: true },
      { pageServer: false, address: undefined, port: 27, lazyPages: true },
    ],
    [{ compress: 0, decompress_threads: 1 }, {}],
    [
      { rst_sibling: true, tls: true, weak_sysctls: true },
      { restoreSibling: true, tls: true, weakSysctls: true },
    ],
  ] as [Partial<CriuOpts>, Partial<Options>][])("%j is %j", (some, options) => {
    expect(optionsOf(some)).toEqual({ ...defaultOptions(), ...options });
  });

  test.each([
    [{ pid: 0 }, /^invalid argument "0" for pid of the request: tree: expected a number from 1 up$/],
    [{ pid: -4 }, /pid of the request/],
    [{ log_level: -1 }, /log_level of the request/],
    [{ empty_ns: 0x6000_0000 }, /empty_ns of the request: only CLONE_NEWNET/],
    [{ external: ["mnt"] }, /external of the request: .*TYPE\[ID\]:VALUE/],
    [{ inherit_fd: [{ key: "", fd: 4 }] }, /inherit_fd of the request/],
    [{ inherit_fd: [{ key: "x", fd: -4 }] }, /inherit_fd of the request/],
    [{ ps: { port: -1, fd: -9 } }, /ps of the request/],
    [{ log_file: "a\0b" }, /log_file of the request: a zero byte/],
    [{ compress: 1 }, /compress of the request is of CRIU 4.3/],
    [{ decompress_threads: 4 }, /decompress_threads of the request is of CRIU 4.3/],
  ] as [Partial<CriuOpts>, RegExp][])("%j is refused", (some, message) => {
    expect(() => optionsOf(some)).toThrow(OptionError);
    expect(() => optionsOf(some)).toThrow(message);
  });
});

describe("packets that are no requests", () => {
  /** Numbers that look random, the same in each run. */
  function* numbers(seed: number): Generator<number> {
    for (let state = seed; ; ) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      yield state >>> 8;
    }
  }

  const packet = encode(CriuReq, {
    type: CriuReqType.DUMP,
    opts: opts({
      pid: 1234,
      log_file: "dump.log",
      external: ["mnt[]:sm", "file[1:2]"],
      ext_mnt: [{ key: "/a", val: "/b" }],
      inherit_fd: [{ key: "pipe:[1]", fd: 3 }],
      ps: { address: "127.0.0.1", port: 1234 },
      cg_root: [{ path: "/x" }],
      manage_cgroups_mode: 3,
    }),
    notify_success: true,
    features: { mem_track: true },
  });

  test("of 10,000 mutations each is options, or refused as what it is, at once", () => {
    const random = numbers(20);
    const next = (below: number) => (random.next().value ?? 0) % below;
    const start = performance.now();
    const seen = { options: 0, refused: 0, unreadable: 0 };
    for (let round = 0; round < 10_000; round++) {
      let bytes: Uint8Array = packet.slice();
      for (let change = next(6); change >= 0; change--) {
        if (bytes.length === 0) break;
        const at = next(bytes.length);
        const how = next(8);
        if (how < 2) bytes = bytes.slice(0, at);
        else if (how < 4) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(next(at + 1))]);
        else bytes[at] = next(256);
      }
      try {
        const request = decodeRequest(bytes);
        if (request.opts !== undefined) withGiven(defaultOptions(), givenBy(request.opts, peer));
        seen.options++;
      } catch (error) {
        if (error instanceof RequestError) seen.unreadable++;
        else if (error instanceof OptionError) seen.refused++;
        else throw error;
      }
    }
    expect(performance.now() - start).toBeLessThan(10_000);
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(100);
  });
});
