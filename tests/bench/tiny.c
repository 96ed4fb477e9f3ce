// The smallest thing that a person would start.
#include "workload.h"

int main(void) {
  ready();
  wait_for_the_end();
}
