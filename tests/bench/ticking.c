// ticking MEBIBYTES: private memory with random content, and a clock that is looked at every 100 microseconds. The file
// "gap" holds the longest time, in nanoseconds, in which it was not: as long as the process was frozen, as seen by itself.
// Whoever sets it to 0 starts anew.
#include "workload.h"

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
  private_memory((size_t)number(argc, argv) << 20);
  int fd = open("gap", O_CREAT | O_RDWR, 0644);
  if (fd < 0 || ftruncate(fd, 4096) != 0) return 1;
  volatile int64_t *gap = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (gap == MAP_FAILED) return 1;
  close(fd);
  ready();
  for (int64_t last = now();;) {
    usleep(100);
    int64_t here = now();
    if (here - last > *gap) *gap = here - last;
    last = here;
  }
}
