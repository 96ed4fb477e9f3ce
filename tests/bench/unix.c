// unix NUMBER: so many connected Unix stream sockets, in pairs, each with data that waits in it.
#include <sys/resource.h>
#include <sys/socket.h>

#include "workload.h"

int main(int argc, char **argv) {
  int sockets = number(argc, argv);
  struct rlimit files = {sockets + 100, sockets + 100};
  char data[2000];
  setrlimit(RLIMIT_NOFILE, &files);
  fill(data, sizeof data);
  for (int i = 0; i < sockets; i += 2) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return 1;
    for (int end = 0; end < 2; end++)
      if (send(pair[end], data, sizeof data, 0) != sizeof data) return 1;
  }
  ready();
  wait_for_the_end();
}
