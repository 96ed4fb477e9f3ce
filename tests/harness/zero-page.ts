/** The page that the kernel maps wherever memory is read that was never written. */
import { expect } from "bun:test";
import { O, open, withFd } from "../../src/linux/io.ts";
import { PAGE_SIZE, PROT } from "../../src/linux/memory.ts";
import { NR } from "../../src/linux/nr.ts";
import { addressOf, memoryAt, rawSyscall, syscall } from "../../src/linux/syscall.ts";

/** What of a word of /proc/PID/pagemap is the number of the frame. */
export const FRAME = (1n << 55n) - 1n;
const PRIVATE_ANONYMOUS = 0x22;
const PAGES = 2;

/** Frame of the zero page. Undefined where the kernel has none, but gives a page of its own to whoever reads. */
export function zeroFrame(): bigint | undefined {
  const length = PAGES * PAGE_SIZE;
  const address = syscall("two pages", NR.mmap, 0, length, PROT.READ, PRIVATE_ANONYMOUS, -1, 0);
  try {
    const memory = memoryAt(address, length);
    const words = new BigUint64Array(PAGES);
    for (let page = 0; page < PAGES; page++) expect(memory[page * PAGE_SIZE]).toBe(0);
    withFd(open("/proc/self/pagemap", O.RDONLY), (fd) => {
      const bytes = new Uint8Array(words.buffer);
      syscall("pagemap", NR.pread64, fd, addressOf(bytes), bytes.length, (address / PAGE_SIZE) * 8);
    });
    const [one = 0n, other = 0n] = words;
    return (one & FRAME) === (other & FRAME) ? one & FRAME : undefined;
  } finally {
    rawSyscall(NR.munmap, address, length);
  }
}
