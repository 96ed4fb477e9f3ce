// listeners NUMBER: so many TCP sockets that listen.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "workload.h"

int main(int argc, char **argv) {
  int listeners = number(argc, argv);
  struct rlimit files = {listeners + 100, listeners + 100};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setrlimit(RLIMIT_NOFILE, &files);
  for (int i = 0; i < listeners; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 5) < 0) return 1;
  }
  ready();
  wait_for_the_end();
}
