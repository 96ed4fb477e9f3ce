/** Owners of files and of other objects: ids of users and groups, which have other names in each user namespace. */

/** What owners are called elsewhere. */
export interface Owners {
  uid(id: number): number;
  gid(id: number): number;
}

/** Nobody's id: what has no name on the other side. Many calls take it for "as it is". */
export const NO_ID = 0xffff_ffff;

/** Where owners have one name only. */
export const SAME_OWNERS: Owners = { uid: (id) => id, gid: (id) => id };
