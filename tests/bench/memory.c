// memory MEBIBYTES: private memory with random content.
#include "workload.h"

int main(int argc, char **argv) {
  private_memory((size_t)number(argc, argv) << 20);
  ready();
  wait_for_the_end();
}
