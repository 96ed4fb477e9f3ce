/** Places in namespaces: helpers of ours, each started when it is first wanted. */
import { NEW } from "../../linux/clone.ts";
import { stat } from "../../linux/io.ts";
import { NR } from "../../linux/nr.ts";
import { oncePerRun } from "../../linux/once-per-run.ts";
import type { HostPid } from "../../linux/pid.ts";
import { PR } from "../../linux/prctl.ts";
import { AF, openSocketPair, SOCK } from "../../linux/socket.ts";
import { statusOf } from "../../linux/statx.ts";
import { Helper } from "../build/helper.ts";
import { InsidePlace } from "./inside.ts";
import { ours } from "./ours.ts";
import { must, type Place } from "./place.ts";

/**
 * The kinds of namespace that a call can be made in, as /proc/PID/ns calls them. The user namespace is entered last: before that
 * we may enter all others. (Pid and time namespaces are entered at birth alone.)
 */
const FLAGS = {
  net: NEW.NET,
  ipc: NEW.IPC,
  uts: NEW.UTS,
  cgroup: NEW.CGROUP,
  mnt: NEW.NS,
  user: NEW.USER,
} as const;
export type PlaceNamespace = keyof typeof FLAGS;

/** Descriptors of ours of namespaces (/proc/PID/ns/...), lent for the call. Of a kind that is not there ours is meant. */
export type Wanted = { readonly [K in PlaceNamespace]?: number };

interface Namespace {
  readonly kind: PlaceNamespace;
  readonly fd: number;
  readonly inode: number;
}

const KINDS = Object.keys(FLAGS) as readonly PlaceNamespace[];

const ownInodes = oncePerRun(() => new Map(KINDS.map((kind) => [kind, stat(`/proc/self/ns/${kind}`).ino])));

export class Places implements Disposable {
  readonly #places = new Map<string, Place>();
  readonly #stack = new DisposableStack();

  /** `avoid` are ids that others are to be born with. */
  constructor(private readonly avoid: ReadonlySet<HostPid> = new Set()) {}

  /**
   * The place in these namespaces. In a user namespace that is not ours its calls are made by the root of that one, with its rights
   * alone. @throws KernelError where they cannot be entered
   */
  at(wanted: Wanted): Place {
    const others = KINDS.flatMap((kind): Namespace[] => {
      const fd = wanted[kind];
      if (fd === undefined) return [];
      const inode = statusOf(fd).ino;
      return inode === ownInodes().get(kind) ? [] : [{ kind, fd, inode }];
    });
    if (others.length === 0) return ours;
    const key = others.map(({ kind, inode }) => `${kind}:[${inode}]`).join(" ");
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.#enter(others);
      this.#places.set(key, place);
    }
    return place;
  }

  /** Ends all helpers. */
  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
    this.#places.clear();
  }

  #enter(namespaces: readonly Namespace[]): Place {
    const helper = this.#stack.use(Helper.start(this.avoid));
    const place = new InsidePlace(helper.pid, helper.table, { pidfd: helper.ourPidfd });
    const isUser = namespaces.some(({ kind }) => kind === "user");
    if (isUser) this.#prepareForUser(place);
    for (const { kind, fd } of namespaces) {
      const [there = -1] = place.give([fd]);
      must(place, `the ${kind} namespace`, NR.setns, there, FLAGS[kind]);
      must(place, `the ${kind} namespace`, NR.close, there);
    }
    // Files of ours belong to who it was until now.
    if (isUser) {
      must(place, "group 0", NR.setresgid, 0, 0, 0);
      must(place, "user 0", NR.setresuid, 0, 0, 0);
    }
    return place;
  }

  #prepareForUser(place: InsidePlace): void {
    // There it may not fetch from us any more.
    const [mine, theirs] = openSocketPair(AF.UNIX, SOCK.STREAM);
    this.#stack.use(mine);
    try {
      const [socket = -1] = place.give([theirs.number]);
      place.door = { socket, ours: mine.number };
    } finally {
      theirs.close();
    }
    // The root of that namespace may trace who is in it.
    must(place, "tracing by others", NR.prctl, PR.SET_DUMPABLE, 0);
    // There that may be denied (user_namespaces(7)).
    must(place, "no further groups", NR.setgroups, 0, 0);
  }
}
