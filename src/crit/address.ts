/** IP addresses as crit prints them: 32-bit words of network order that the image holds as the machine's own. */

function swapped(word: number): number {
  return (
    (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | ((word >>> 24) & 0xff)) >>> 0
  );
}

/** One word is an IPv4 address, four are an IPv6 one; undefined for any other number of them. */
export function addressToText(words: readonly number[]): string | undefined {
  if (words.length === 1) return ipv4(swapped(words[0] ?? 0));
  if (words.length !== 4) return undefined;
  const groups = words.flatMap((word) => [swapped(word) >>> 16, swapped(word) & 0xffff]);
  return ipv6(groups);
}

function ipv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

/** RFC 5952: the longest run of at least two zero groups is left out, the first of the longest. */
function ipv6(groups: readonly number[]): string {
  let [from, length] = [0, 0];
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > length) [from, length] = [start, end - start];
  }
  const text = (some: readonly number[]) => some.map((group) => group.toString(16)).join(":");
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, from))}::${text(groups.slice(from + length))}`;
}

/** The words of an address; undefined where it is none. */
export function textToAddress(text: string): number[] | undefined {
  const four = textToIpv4(text);
  if (four !== undefined) return [swapped(four)];
  const groups = textToGroups(text);
  if (groups === undefined) return undefined;
  return [0, 2, 4, 6].map((at) => swapped((((groups[at] ?? 0) << 16) | (groups[at + 1] ?? 0)) >>> 0));
}

function textToIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((address, part) => address * 256 + Number(part), 0);
}

function textToGroups(text: string): number[] | undefined {
  const [head = "", tail, more] = text.split("::");
  if (more !== undefined) return undefined;
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  if (before === undefined || after === undefined) return undefined;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...before, ...Array.from({ length: missing }, () => 0), ...after];
}

function groupsOf(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [n, part] of parts.entries()) {
    const four = n === parts.length - 1 ? textToIpv4(part) : undefined;
    if (four !== undefined) groups.push(four >>> 16, four & 0xffff);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
