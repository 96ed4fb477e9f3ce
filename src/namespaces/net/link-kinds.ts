/** All kinds of network devices. */
import { bridge } from "./bridge.ts";
import type { LinkKind } from "./link-kind.ts";
import { macvlan } from "./macvlan.ts";
import { otherLink } from "./other-links.ts";
import { sit } from "./sit.ts";
import { tun } from "./tun.ts";
import { veth } from "./veth.ts";

export const LINK_KINDS: readonly LinkKind[] = [veth, tun, bridge, macvlan, sit, otherLink];
