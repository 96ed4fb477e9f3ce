// measure RESULT COMMAND [ARGUMENT ...]: runs a command and writes "nanoseconds exit-code peak-KiB" to RESULT.
//
// A small program does this because a process inherits the peak of the one it was forked from: started by the bench
// itself, every tool would be as large as Bun.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct timespec start, end;
  struct rusage usage;
  int status;
  if (argc < 3) return 2;
  clock_gettime(CLOCK_MONOTONIC, &start);
  pid_t pid = vfork();
  if (pid < 0) return 2;
  if (pid == 0) {
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  if (wait4(pid, &status, 0, &usage) != pid) return 2;
  clock_gettime(CLOCK_MONOTONIC, &end);
  FILE *result = fopen(argv[1], "w");
  if (result == NULL) return 2;
  fprintf(result, "%lld %d %ld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec),
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), usage.ru_maxrss);
  return fclose(result) != 0;
}
