/**
 * The names that crit gives to the bits and values of fields: `hints.flags` and `hints.dict` of the schema. They are part of the
 * JSON form (CRIU 4.2), so what crit has no name for has none here, and is shown as a number.
 */

/** Bits by name, in the order in which they are printed. */
export type Bits = readonly (readonly [name: string, bits: number])[];

const MMAP_PROT: Bits = [
  ["PROT_READ", 0x1],
  ["PROT_WRITE", 0x2],
  ["PROT_EXEC", 0x4],
];

const MMAP_FLAGS: Bits = [
  ["MAP_SHARED", 0x1],
  ["MAP_PRIVATE", 0x2],
  ["MAP_DROPPABLE", 0x8],
  ["MAP_ANON", 0x20],
  ["MAP_GROWSDOWN", 0x100],
];

/** vma_entry.status. VMA_AREA_NONE is no bit: it can be read, and is never printed. */
const MMAP_STATUS: Bits = [
  ["VMA_AREA_NONE", 0],
  ["VMA_AREA_REGULAR", 1 << 0],
  ["VMA_AREA_STACK", 1 << 1],
  ["VMA_AREA_VSYSCALL", 1 << 2],
  ["VMA_AREA_VDSO", 1 << 3],
  ["VMA_AREA_HEAP", 1 << 5],
  ["VMA_FILE_PRIVATE", 1 << 6],
  ["VMA_FILE_SHARED", 1 << 7],
  ["VMA_ANON_SHARED", 1 << 8],
  ["VMA_ANON_PRIVATE", 1 << 9],
  ["VMA_AREA_SYSVIPC", 1 << 10],
  ["VMA_AREA_SOCKET", 1 << 11],
  ["VMA_AREA_VVAR", 1 << 12],
  ["VMA_AREA_AIORING", 1 << 13],
  ["VMA_AREA_MEMFD", 1 << 14],
  ["VMA_AREA_SHSTK", 1 << 15],
  ["VMA_AREA_UPROBES", 1 << 17],
  ["VMA_UNSUPP", 0x8000_0000],
];

const RFILE_FLAGS: Bits = [
  ["O_WRONLY", 0o1],
  ["O_RDWR", 0o2],
  ["O_CREAT", 0o100],
  ["O_EXCL", 0o200],
  ["O_NOCTTY", 0o400],
  ["O_TRUNC", 0o1000],
  ["O_APPEND", 0o2000],
  ["O_NONBLOCK", 0o4000],
  ["O_DSYNC", 0o10000],
  ["FASYNC", 0o20000],
  ["O_DIRECT", 0o40000],
  ["O_LARGEFILE", 0o100000],
  ["O_DIRECTORY", 0o200000],
  ["O_NOFOLLOW", 0o400000],
  ["O_NOATIME", 0o1000000],
  ["O_CLOEXEC", 0o2000000],
];

const SEALS_FLAGS: Bits = [
  ["F_SEAL_SEAL", 0x1],
  ["F_SEAL_SHRINK", 0x2],
  ["F_SEAL_GROW", 0x4],
  ["F_SEAL_WRITE", 0x8],
  ["F_SEAL_FUTURE_WRITE", 0x10],
];

const PMAP_FLAGS: Bits = [
  ["PE_PARENT", 0x1],
  ["PE_LAZY", 0x2],
  ["PE_PRESENT", 0x4],
];

/** By `hints.flags`. What is not here is printed in hexadecimal. */
export const FLAGS: Readonly<Record<string, Bits>> = {
  "mmap.prot": MMAP_PROT,
  "mmap.flags": MMAP_FLAGS,
  "mmap.status": MMAP_STATUS,
  "rfile.flags": RFILE_FLAGS,
  "pmap.flags": PMAP_FLAGS,
  "seals.flags": SEALS_FLAGS,
};

export type Names = Readonly<Record<number, string>>;

/** By `hints.dict`, and then by the field's name. */
export const VALUES: Readonly<Record<string, Readonly<Record<string, Names>>>> = {
  gen: {
    task_state: { 1: "Alive", 3: "Zombie", 6: "Stopped" },
  },
  sk: {
    family: { 1: "UNIX", 2: "INET", 10: "INET6", 16: "NETLINK", 17: "PACKET" },
    type: { 1: "STREAM", 2: "DGRAM", 3: "RAW", 5: "SEQPACKET", 10: "PACKET" },
    state: {
      1: "ESTABLISHED",
      2: "SYN_SENT",
      3: "SYN_RECV",
      4: "FIN_WAIT1",
      5: "FIN_WAIT2",
      6: "TIME_WAIT",
      7: "CLOSE",
      8: "CLOSE_WAIT",
      9: "LAST_ACK",
      10: "LISTEN",
    },
    proto: { 0: "IP", 6: "TCP", 17: "UDP", 136: "UDPLITE" },
  },
};

/** A set of bits with their names; what has none comes last, in hexadecimal. 32 bits. */
export function bitsToText(value: number, bits: Bits): string {
  const names: string[] = [];
  let rest = value;
  for (const [name, bit] of bits) {
    if ((value & bit) !== 0) names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0) names.push(`0x${(rest >>> 0).toString(16)}`);
  return names.join(" | ");
}

/** The bits of such a text; undefined where a word is neither a name nor a number. */
export function textToBits(text: string, bits: Bits): number | undefined {
  if (text === "") return 0;
  let value = 0;
  for (const word of text.split("|").map((part) => part.trim())) {
    const known = bits.find(([name]) => name === word)?.[1] ?? wholeNumber(word);
    if (known === undefined || known < 0 || known > 0xffff_ffff) return undefined;
    value |= Number(known);
  }
  return value >>> 0;
}

/** A number as Python's int(text, 0) takes it: decimal, or 0x, 0o, 0b; undefined where it is none. */
export function wholeNumber(text: string): bigint | undefined {
  const match = /^\s*([+-]?)((?:0[xX][0-9a-fA-F]+)|(?:0[oO][0-7]+)|(?:0[bB][01]+)|(?:[0-9]+))\s*$/.exec(text);
  if (match === null) return undefined;
  const value = BigInt(match[2] ?? "");
  return match[1] === "-" ? -value : value;
}
