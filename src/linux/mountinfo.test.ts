import { describe, expect, test } from "bun:test";
import { MS } from "./mount.ts";
import { parseMountinfo, splitOptions, unescapePath } from "./mountinfo.ts";

describe("mountinfo", () => {
  test("is read with all its fields", () => {
    const [mount] = parseMountinfo(
      "36 35 98:1 /mnt\\0401 /mnt\\0112\\134x ro,nosuid,noatime,nosymfollow shared:7 master:1 propagate_from:2 - fuse.x /dev/a\\040b ro,sync,errors=continue,a=b\\054c\n",
      "a test",
    );
    expect(mount).toEqual({
      id: 36,
      parentId: 35,
      device: (98 << 20) | 1,
      root: "/mnt 1",
      deleted: false,
      mountpoint: "/mnt\t2\\x",
      flags: MS.RDONLY | MS.NOSUID | MS.NOATIME | MS.NOSYMFOLLOW | MS.SHARED | MS.SLAVE,
      sharedId: 7,
      masterId: 1,
      type: "fuse.x",
      source: "/dev/a b",
      superFlags: MS.RDONLY | MS.SYNCHRONOUS,
      options: "errors=continue,a=b\\054c",
      idmapped: false,
    });
  });

  test("tells what has lost its name, what counts every access, and an empty source", () => {
    const [one, other] = parseMountinfo(
      "1 0 0:1 /gone//deleted / rw unbindable - tmpfs  rw\n2 1 0:1 / /a rw,relatime,idmapped - ext4 x rw",
      "a test",
    );
    expect(one).toMatchObject({
      root: "/gone",
      deleted: true,
      source: "",
      flags: MS.STRICTATIME | MS.UNBINDABLE,
    });
    expect(other).toMatchObject({ deleted: false, flags: MS.RELATIME, idmapped: true });
  });

  test("is refused where it is not understood", () => {
    for (const line of [
      "1 0 0:1 / / rw - tmpfs",
      "1 x 0:1 / / rw - t t rw",
      "1 0 0:1 / / rw,new - t t rw",
      "1 0 0:1 / / rw new:1 - t t rw",
    ])
      expect(() => parseMountinfo(line, "a test")).toThrow("a test");
  });

  test("has options with commas in quotes", () => {
    expect(splitOptions('size=1k,context="a:b:c1,c2",x')).toEqual(["size=1k", 'context="a:b:c1,c2"', "x"]);
    expect(splitOptions("")).toEqual([]);
    expect(unescapePath("a\\054b\\134")).toBe("a,b\\");
  });
});
