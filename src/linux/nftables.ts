/**
 * nf_tables over netlink: tables with chains, rules and sets, as transactions (include/uapi/linux/netfilter/nf_tables.h).
 *
 *     new Transaction().newTable(table, TABLE_FLAG.OWNER).newChain(table, ...).newRule(...).commit(netlink, "the lock");
 *
 * All numbers are in network byte order here. Everything is of family inet, which sees IPv4 and IPv6.
 */
import { ERRNO, isErrno } from "./errno.ts";
import {
  attributesIn,
  attributeText,
  encodeRequests,
  type Message,
  type Netlink,
  NLM,
  type Request,
  RequestBody,
} from "./netlink.ts";
import { struct, u8, u16, viewOf } from "./struct.ts";

/** struct nfgenmsg; the resource is in network byte order. */
export const nfgenmsg = struct({ family: u8, version: u8, resource: u16 });
const SUBSYSTEM = 10;
const BATCH = { BEGIN: 0x10, END: 0x11 } as const;
const MESSAGE = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  NEWRULE: 6,
  NEWSET: 9,
  NEWSETELEM: 12,
} as const;
const FAMILY_INET = 1;

/** What a packet is that netfilter looks at: `meta nfproto`. */
export const NFPROTO = { IPV4: 2, IPV6: 10 } as const;

const LIST_ELEMENT = 1;
const TABLE = { NAME: 1, FLAGS: 2, OWNER: 7 } as const;
/** OWNER: the table ends with the socket that made it (kernel 5.12). */
export const TABLE_FLAG = { NONE: 0, OWNER: 2 } as const;
const CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const;
const HOOK = { NUMBER: 1, PRIORITY: 2 } as const;
/** What a process of this machine gets, and what it sends. */
export const HOOK_AT = { INPUT: 1, OUTPUT: 3 } as const;
export const VERDICT = { DROP: 0, ACCEPT: 1 } as const;
const RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4 } as const;
const EXPRESSION = { NAME: 1, DATA: 2 } as const;
const SET = { TABLE: 1, NAME: 2, FLAGS: 3, KEY_TYPE: 4, KEY_LENGTH: 5, ID: 10 } as const;
const ELEMENTS = { TABLE: 1, SET: 2, LIST: 3 } as const;
const ELEMENT_KEY = 1;
const DATA = { VALUE: 1, VERDICT: 2 } as const;
const VERDICT_CODE = 1;

/** Where an expression leaves or finds a value: 16 words of 4 bytes; the verdict is apart. */
const REGISTER = { VERDICT: 0, WORD_0: 8 } as const;
const META = { DREG: 1, KEY: 2, MARK: 3, NFPROTO: 15, L4PROTO: 16 } as const;
const CMP = { SREG: 1, OP: 2, DATA: 3, EQUAL: 0 } as const;
const PAYLOAD = { DREG: 1, BASE: 2, OFFSET: 3, LENGTH: 4, NETWORK: 1, TRANSPORT: 2 } as const;
const LOOKUP = { SET: 1, SREG: 2 } as const;
const IMMEDIATE = { DREG: 1, DATA: 2 } as const;

/** Adds itself to the expressions of a rule. */
export type Expression = (rule: RequestBody) => void;

function expression(name: string, data: (rule: RequestBody) => void): Expression {
  return (rule) =>
    rule.nest(LIST_ELEMENT, () => {
      rule.text(EXPRESSION.NAME, name);
      rule.nest(EXPRESSION.DATA, () => data(rule));
    });
}

function equals(value: Uint8Array): Expression {
  return expression("cmp", (rule) => {
    rule.be32(CMP.SREG, REGISTER.WORD_0).be32(CMP.OP, CMP.EQUAL);
    rule.nest(CMP.DATA, () => rule.raw(DATA.VALUE, value));
  });
}

function meta(key: number): Expression {
  return expression("meta", (rule) => rule.be32(META.DREG, REGISTER.WORD_0).be32(META.KEY, key));
}

/** `meta mark VALUE` */
export function markIs(value: number): Expression[] {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return [meta(META.MARK), equals(bytes)];
}

/** `meta nfproto` and `meta l4proto`: what a packet has to be before its header is looked at. */
export function isProtocol(nfproto: number, protocol: number): Expression[] {
  return [
    meta(META.NFPROTO),
    equals(Uint8Array.of(nfproto)),
    meta(META.L4PROTO),
    equals(Uint8Array.of(protocol)),
  ];
}

/** A piece of a packet's header, of the network's or the transport's. */
export interface Piece {
  readonly of: "network" | "transport";
  readonly offset: number;
  readonly length: number;
}

/** Whether the pieces, each filled up with zeros to words of 4 bytes, are an element of a set. */
export function isIn(set: string, pieces: readonly Piece[]): Expression[] {
  const found: Expression[] = [];
  let word = 0;
  for (const { of, offset, length } of pieces) {
    const register = REGISTER.WORD_0 + word;
    const base = of === "network" ? PAYLOAD.NETWORK : PAYLOAD.TRANSPORT;
    found.push(
      expression("payload", (rule) =>
        rule
          .be32(PAYLOAD.DREG, register)
          .be32(PAYLOAD.BASE, base)
          .be32(PAYLOAD.OFFSET, offset)
          .be32(PAYLOAD.LENGTH, length),
      ),
    );
    word += Math.ceil(length / 4);
  }
  found.push(expression("lookup", (rule) => rule.text(LOOKUP.SET, set).be32(LOOKUP.SREG, REGISTER.WORD_0)));
  return found;
}

/** What becomes of a packet for which the rest of the rule holds. */
export function verdict(code: number): Expression {
  return expression("immediate", (rule) => {
    rule.be32(IMMEDIATE.DREG, REGISTER.VERDICT);
    rule.nest(IMMEDIATE.DATA, () => rule.nest(DATA.VERDICT, () => rule.be32(VERDICT_CODE, code)));
  });
}

/** An attribute has at most 64 KiB: so many elements of a set are added by one message. */
const ELEMENTS_AT_ONCE = 500;

/** Messages of which all are done or none. */
export class Transaction {
  readonly #requests: Request[] = [];
  #sets = 0;

  #add(what: string, message: number, flags: number, fill: (body: RequestBody) => void): this {
    const body = new RequestBody(nfgenmsg.encode({ family: FAMILY_INET }));
    fill(body);
    const type = (SUBSYSTEM << 8) | message;
    this.#requests.push({ type, flags: flags | NLM.ACK, body: body.bytes, what });
    return this;
  }

  newTable(table: string, flags: number): this {
    return this.#add(`new table ${table}`, MESSAGE.NEWTABLE, NLM.CREATE | NLM.EXCL, (body) =>
      body.text(TABLE.NAME, table).be32(TABLE.FLAGS, flags),
    );
  }

  /** With all that is in it. */
  deleteTable(table: string): this {
    return this.#add(`end of table ${table}`, MESSAGE.DELTABLE, 0, (body) => body.text(TABLE.NAME, table));
  }

  /** A chain of type filter, of priority 0. */
  newChain(table: string, chain: string, hook: number, policy: number): this {
    return this.#add(`new chain ${chain}`, MESSAGE.NEWCHAIN, NLM.CREATE, (body) => {
      body.text(CHAIN.TABLE, table).text(CHAIN.NAME, chain);
      body.nest(CHAIN.HOOK, () => body.be32(HOOK.NUMBER, hook).be32(HOOK.PRIORITY, 0));
      body.be32(CHAIN.POLICY, policy).text(CHAIN.TYPE, "filter");
    });
  }

  /** At the end of its chain. */
  newRule(table: string, chain: string, expressions: readonly Expression[]): this {
    return this.#add(`new rule of ${chain}`, MESSAGE.NEWRULE, NLM.CREATE | NLM.APPEND, (body) => {
      body.text(RULE.TABLE, table).text(RULE.CHAIN, chain);
      body.nest(RULE.EXPRESSIONS, () => {
        for (const each of expressions) each(body);
      });
    });
  }

  /** `keyType` is what `nft list` shows the keys by; the kernel asks for their length alone. */
  newSet(table: string, set: string, keyType: number, keyLength: number): this {
    return this.#add(`new set ${set}`, MESSAGE.NEWSET, NLM.CREATE, (body) =>
      body
        .text(SET.TABLE, table)
        .text(SET.NAME, set)
        .be32(SET.FLAGS, 0)
        .be32(SET.KEY_TYPE, keyType)
        .be32(SET.KEY_LENGTH, keyLength)
        .be32(SET.ID, ++this.#sets),
    );
  }

  newElements(table: string, set: string, keys: readonly Uint8Array[]): this {
    for (let from = 0; from < keys.length; from += ELEMENTS_AT_ONCE) {
      this.#add(`elements of ${set}`, MESSAGE.NEWSETELEM, NLM.CREATE, (body) => {
        body.text(ELEMENTS.TABLE, table).text(ELEMENTS.SET, set);
        body.nest(ELEMENTS.LIST, () => {
          for (const key of keys.slice(from, from + ELEMENTS_AT_ONCE))
            body.nest(LIST_ELEMENT, () => body.nest(ELEMENT_KEY, () => body.raw(DATA.VALUE, key)));
        });
      });
    }
    return this;
  }

  get #batch(): Request[] {
    const head = nfgenmsg.encode({ resource: ((SUBSYSTEM & 0xff) << 8) | (SUBSYSTEM >> 8) });
    const mark = (type: number, what: string): Request => ({ type, flags: 0, body: head, what });
    return [mark(BATCH.BEGIN, "begin"), ...this.#requests, mark(BATCH.END, "end")];
  }

  /** Does it all. @throws KernelError, named by `what` and by the first message that was refused: nothing was done */
  commit(netlink: Netlink, what: string): void {
    netlink.batch(this.#batch.map((request) => ({ ...request, what: `${what}: ${request.what}` })));
  }

  /** The bytes of it all, for a socket that nobody will read the answers of. */
  bytes(): Uint8Array {
    return encodeRequests(this.#batch.map((request) => ({ ...request, flags: request.flags & ~NLM.ACK })));
  }
}

/** A table. */
export interface TableFound {
  /** As nft calls it: ip, inet, ... */
  readonly family: string;
  readonly name: string;
  readonly flags: number;
  /** The port of the netlink socket that it ends with; undefined for none. */
  readonly owner: number | undefined;
}

/** NFPROTO_* of include/uapi/linux/netfilter.h, by the names that nft has for them. */
const FAMILIES: ReadonlyMap<number, string> = new Map([
  [1, "inet"],
  [2, "ip"],
  [3, "arp"],
  [5, "netdev"],
  [7, "bridge"],
  [10, "ip6"],
]);

/** All tables of the namespace; a kernel without nf_tables has none. @throws KernelError */
export function listTables(netlink: Netlink): TableFound[] {
  const found: TableFound[] = [];
  const body = nfgenmsg.encode({});
  if (!knowsTables(netlink)) return found;
  const ask = { type: (SUBSYSTEM << 8) | MESSAGE.GETTABLE, flags: NLM.DUMP, body };
  const take = (message: Message) => {
    const attributes = attributesIn(message.body, nfgenmsg.size);
    const name = attributes.get(TABLE.NAME);
    const flags = attributes.get(TABLE.FLAGS);
    const owner = attributes.get(TABLE.OWNER);
    const { family } = nfgenmsg.decode(message.body);
    found.push({
      family: FAMILIES.get(family) ?? String(family),
      name: name === undefined ? "" : attributeText(name),
      flags: flags === undefined ? 0 : viewOf(flags).getUint32(0),
      owner: owner === undefined ? undefined : viewOf(owner).getUint32(0),
    });
  };
  netlink.ask("list of tables", ask, take, () => found.splice(0));
  return found;
}

/** Whether the kernel has nf_tables. @throws KernelError */
export function knowsTables(netlink: Netlink): boolean {
  try {
    const type = (SUBSYSTEM << 8) | MESSAGE.GETTABLE;
    netlink.ask("list of tables", { type, flags: NLM.DUMP, body: nfgenmsg.encode({}) }, () => {});
    return true;
  } catch (error) {
    if (isErrno(error, ERRNO.EINVAL) || isErrno(error, ERRNO.EOPNOTSUPP)) return false;
    throw error;
  }
}

/** Whether there is a table of that name. @throws KernelError */
export function tableExists(netlink: Netlink, table: string): boolean {
  const body = new RequestBody(nfgenmsg.encode({ family: FAMILY_INET })).text(TABLE.NAME, table).bytes;
  let found = false;
  try {
    netlink.ask(
      `table ${table}`,
      { type: (SUBSYSTEM << 8) | MESSAGE.GETTABLE, flags: 0, body },
      (message) => {
        found ||= attributesIn(message.body, nfgenmsg.size).has(TABLE.NAME);
      },
    );
  } catch (error) {
    if (!isErrno(error, ERRNO.ENOENT)) throw error;
  }
  return found;
}
