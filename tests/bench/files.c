// files NUMBER: so many open files, each with a name, a position and content of its own.
#include "workload.h"

int main(int argc, char **argv) {
  int files = number(argc, argv);
  char name[64];
  mkdir("files", 0755);
  for (int i = 0; i < files; i++) {
    snprintf(name, sizeof name, "files/%d", i);
    int fd = open(name, O_CREAT | O_RDWR, 0644);
    if (fd < 0 || write(fd, name, strlen(name)) < 0) return 1;
  }
  ready();
  wait_for_the_end();
}
