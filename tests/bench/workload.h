// Common to the workloads: saying that one is ready, and waiting for the end.
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The bench waits for this file in the current directory.
static inline void ready(void) {
  int fd = open("ready", O_CREAT | O_WRONLY, 0644);
  if (fd < 0) exit(1);
  close(fd);
}

static inline void wait_for_the_end(void) {
  for (;;) pause();
}

static inline int number(int argc, char **argv) { return argc > 1 ? atoi(argv[1]) : 1; }

// Random content: nothing of it is zero, repeats or compresses.
static inline void fill(void *memory, size_t size) {
  uint64_t *word = memory, state = 88172645463325252u;
  for (size_t i = 0; i < size / sizeof *word; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    word[i] = state;
  }
}

static inline void *private_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(1);
  fill(memory, size);
  return memory;
}

#endif
