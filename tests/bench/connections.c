// connections NUMBER: so many established TCP connections, both ends here, with data that waits at one end of each.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "workload.h"

int main(int argc, char **argv) {
  int connections = number(argc, argv);
  struct rlimit files = {3 * connections + 100, 3 * connections + 100};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  char data[2000];
  setrlimit(RLIMIT_NOFILE, &files);
  fill(data, sizeof data);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 100) < 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &length);
  for (int i = 0; i < connections; i++) {
    int one = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(one, (struct sockaddr *)&address, length) < 0) return 1;
    int other = accept(listener, NULL, NULL);
    if (other < 0 || send(one, data, sizeof data, 0) != sizeof data) return 1;
  }
  close(listener);
  ready();
  wait_for_the_end();
}
