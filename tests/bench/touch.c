// touch MEBIBYTES: uses so much memory, and gives it back. A host that has taken free memory from a virtual machine hands it
// out again at a few gigabytes a second at most, whoever asks for it first.
#include "workload.h"

int main(int argc, char **argv) {
  size_t size = (size_t)number(argc, argv) << 20;
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
  return 0;
}
