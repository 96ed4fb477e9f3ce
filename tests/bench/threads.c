// threads NUMBER: so many threads beside the first.
#include "workload.h"

static pthread_barrier_t all;

static void *wait_in_thread(void *unused) {
  pthread_barrier_wait(&all);
  wait_for_the_end();
  return unused;
}

int main(int argc, char **argv) {
  int threads = number(argc, argv);
  pthread_attr_t small;
  pthread_t thread;
  pthread_barrier_init(&all, NULL, threads + 1);
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 256 << 10);
  for (int i = 0; i < threads; i++)
    if (pthread_create(&thread, &small, wait_in_thread, NULL) != 0) return 1;
  pthread_barrier_wait(&all);
  ready();
  wait_for_the_end();
}
