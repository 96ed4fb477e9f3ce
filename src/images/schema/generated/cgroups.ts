// Made from cgroups.proto by scripts/generate-images.ts. Not to be edited.

import type { Codec, Reader, Writer } from "../../wire.ts";

export interface CgroupEntry {
  sets: CgSetEntry[];
  controllers: CgControllerEntry[];
  /** Of criu-ts only: the roots of cgroup namespaces of processes below the root of the tree. */
  namespaces: CgNamespaceEntry[];
}

export const CgroupEntry: Codec<CgroupEntry> = {
  name: "cgroup_entry",
  write(w: Writer, m: CgroupEntry): void {
    for (const v of m.sets) w.message(10, CgSetEntry, v, "cgroup_entry.sets");
    for (const v of m.controllers) w.message(18, CgControllerEntry, v, "cgroup_entry.controllers");
    for (const v of m.namespaces) w.message(8002, CgNamespaceEntry, v, "cgroup_entry.namespaces");
  },
  read(r: Reader): CgroupEntry {
    const sets: CgSetEntry[] = [];
    const controllers: CgControllerEntry[] = [];
    const namespaces: CgNamespaceEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          sets.push(r.message(CgSetEntry));
          break;
        case 18:
          controllers.push(r.message(CgControllerEntry));
          break;
        case 8002:
          namespaces.push(r.message(CgNamespaceEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    return { sets, controllers, namespaces };
  },
};

export interface CgNamespaceEntry {
  /** as in ids-PID.img */
  id: number;
  /** path is the namespace's root */
  roots: CgMemberEntry[];
}

export const CgNamespaceEntry: Codec<CgNamespaceEntry> = {
  name: "cg_namespace_entry",
  write(w: Writer, m: CgNamespaceEntry): void {
    w.uint32(8, m.id, "cg_namespace_entry.id");
    for (const v of m.roots) w.message(18, CgMemberEntry, v, "cg_namespace_entry.roots");
  },
  read(r: Reader): CgNamespaceEntry {
    let id: number | undefined;
    const roots: CgMemberEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 18:
          roots.push(r.message(CgMemberEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("cg_namespace_entry.id");
    return { id, roots };
  },
};

/** Where a task is, in each hierarchy. */
export interface CgSetEntry {
  id: number;
  ctls: CgMemberEntry[];
}

export const CgSetEntry: Codec<CgSetEntry> = {
  name: "cg_set_entry",
  write(w: Writer, m: CgSetEntry): void {
    w.uint32(8, m.id, "cg_set_entry.id");
    for (const v of m.ctls) w.message(18, CgMemberEntry, v, "cg_set_entry.ctls");
  },
  read(r: Reader): CgSetEntry {
    let id: number | undefined;
    const ctls: CgMemberEntry[] = [];
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          id = r.uint32();
          break;
        case 18:
          ctls.push(r.message(CgMemberEntry));
          break;
        default:
          r.skip(tag);
      }
    }
    if (id === undefined) return r.missing("cg_set_entry.id");
    return { id, ctls };
  },
};

export interface CgMemberEntry {
  name: string;
  path: string;
  /** so much of path is the cgroup namespace's root */
  cgns_prefix?: number | undefined;
}

export const CgMemberEntry: Codec<CgMemberEntry> = {
  name: "cg_member_entry",
  write(w: Writer, m: CgMemberEntry): void {
    w.string(10, m.name, "cg_member_entry.name");
    w.string(18, m.path, "cg_member_entry.path");
    if (m.cgns_prefix !== undefined) w.uint32(24, m.cgns_prefix, "cg_member_entry.cgns_prefix");
  },
  read(r: Reader): CgMemberEntry {
    let name: string | undefined;
    let path: string | undefined;
    let cgns_prefix: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 18:
          path = r.string();
          break;
        case 24:
          cgns_prefix = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("cg_member_entry.name");
    if (path === undefined) return r.missing("cg_member_entry.path");
    return { name, path, cgns_prefix };
  },
};

/** One hierarchy. */
export interface CgControllerEntry {
  cnames: string[];
  dirs: CgroupDirEntry[];
  is_threaded?: boolean | undefined;
}

export const CgControllerEntry: Codec<CgControllerEntry> = {
  name: "cg_controller_entry",
  write(w: Writer, m: CgControllerEntry): void {
    for (const v of m.cnames) w.string(10, v, "cg_controller_entry.cnames");
    for (const v of m.dirs) w.message(18, CgroupDirEntry, v, "cg_controller_entry.dirs");
    if (m.is_threaded !== undefined) w.bool(24, m.is_threaded, "cg_controller_entry.is_threaded");
  },
  read(r: Reader): CgControllerEntry {
    const cnames: string[] = [];
    const dirs: CgroupDirEntry[] = [];
    let is_threaded: boolean | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          cnames.push(r.string());
          break;
        case 18:
          dirs.push(r.message(CgroupDirEntry));
          break;
        case 24:
          is_threaded = r.bool();
          break;
        default:
          r.skip(tag);
      }
    }
    return { cnames, dirs, is_threaded };
  },
};

export interface CgroupDirEntry {
  dir_name: string;
  children: CgroupDirEntry[];
  properties: CgroupPropEntry[];
  dir_perms?: CgroupPerms | undefined;
}

export const CgroupDirEntry: Codec<CgroupDirEntry> = {
  name: "cgroup_dir_entry",
  write(w: Writer, m: CgroupDirEntry): void {
    w.string(10, m.dir_name, "cgroup_dir_entry.dir_name");
    for (const v of m.children) w.message(18, CgroupDirEntry, v, "cgroup_dir_entry.children");
    for (const v of m.properties) w.message(26, CgroupPropEntry, v, "cgroup_dir_entry.properties");
    if (m.dir_perms !== undefined) w.message(34, CgroupPerms, m.dir_perms, "cgroup_dir_entry.dir_perms");
  },
  read(r: Reader): CgroupDirEntry {
    let dir_name: string | undefined;
    const children: CgroupDirEntry[] = [];
    const properties: CgroupPropEntry[] = [];
    let dir_perms: CgroupPerms | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          dir_name = r.string();
          break;
        case 18:
          children.push(r.message(CgroupDirEntry));
          break;
        case 26:
          properties.push(r.message(CgroupPropEntry));
          break;
        case 34:
          dir_perms = r.message(CgroupPerms);
          break;
        default:
          r.skip(tag);
      }
    }
    if (dir_name === undefined) return r.missing("cgroup_dir_entry.dir_name");
    return { dir_name, children, properties, dir_perms };
  },
};

export interface CgroupPropEntry {
  name: string;
  value: string;
  perms?: CgroupPerms | undefined;
}

export const CgroupPropEntry: Codec<CgroupPropEntry> = {
  name: "cgroup_prop_entry",
  write(w: Writer, m: CgroupPropEntry): void {
    w.string(10, m.name, "cgroup_prop_entry.name");
    w.string(18, m.value, "cgroup_prop_entry.value");
    if (m.perms !== undefined) w.message(26, CgroupPerms, m.perms, "cgroup_prop_entry.perms");
  },
  read(r: Reader): CgroupPropEntry {
    let name: string | undefined;
    let value: string | undefined;
    let perms: CgroupPerms | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 10:
          name = r.string();
          break;
        case 18:
          value = r.string();
          break;
        case 26:
          perms = r.message(CgroupPerms);
          break;
        default:
          r.skip(tag);
      }
    }
    if (name === undefined) return r.missing("cgroup_prop_entry.name");
    if (value === undefined) return r.missing("cgroup_prop_entry.value");
    return { name, value, perms };
  },
};

export interface CgroupPerms {
  mode: number;
  uid: number;
  gid: number;
}

export const CgroupPerms: Codec<CgroupPerms> = {
  name: "cgroup_perms",
  write(w: Writer, m: CgroupPerms): void {
    w.uint32(8, m.mode, "cgroup_perms.mode");
    w.uint32(16, m.uid, "cgroup_perms.uid");
    w.uint32(24, m.gid, "cgroup_perms.gid");
  },
  read(r: Reader): CgroupPerms {
    let mode: number | undefined;
    let uid: number | undefined;
    let gid: number | undefined;
    while (r.pos < r.limit) {
      const tag = r.tag();
      switch (tag) {
        case 8:
          mode = r.uint32();
          break;
        case 16:
          uid = r.uint32();
          break;
        case 24:
          gid = r.uint32();
          break;
        default:
          r.skip(tag);
      }
    }
    if (mode === undefined) return r.missing("cgroup_perms.mode");
    if (uid === undefined) return r.missing("cgroup_perms.uid");
    if (gid === undefined) return r.missing("cgroup_perms.gid");
    return { mode, uid, gid };
  },
};
