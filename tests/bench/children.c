// children NUMBER: so many forked children, which share 1 MiB with their parent and have changed a few pages of it.
#include "workload.h"

int main(int argc, char **argv) {
  int children = number(argc, argv), started[2];
  char *memory = private_memory(1 << 20), byte = 0;
  if (pipe(started) != 0) return 1;
  for (int i = 0; i < children; i++) {
    pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) {
      memset(memory + (i % 256) * 4096, i, 4096);
      if (write(started[1], &byte, 1) != 1) return 1;
      wait_for_the_end();
    }
  }
  for (int i = 0; i < children; i++)
    if (read(started[0], &byte, 1) != 1) return 1;
  ready();
  wait_for_the_end();
}
