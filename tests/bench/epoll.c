// epoll NUMBER: so many registrations, of 1000 event descriptors each in several epoll descriptors.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "workload.h"

enum { EVENTS = 1000 };

int main(int argc, char **argv) {
  int registrations = number(argc, argv), events[EVENTS];
  struct rlimit files = {EVENTS + registrations / EVENTS + 100, EVENTS + registrations / EVENTS + 100};
  setrlimit(RLIMIT_NOFILE, &files);
  for (int i = 0; i < EVENTS; i++)
    if ((events[i] = eventfd(0, EFD_NONBLOCK)) < 0) return 1;
  for (int done = 0; done < registrations; done += EVENTS) {
    int poll = epoll_create1(0);
    for (int i = 0; i < EVENTS && done + i < registrations; i++) {
      struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = done + i};
      if (epoll_ctl(poll, EPOLL_CTL_ADD, events[i], &event) < 0) return 1;
    }
  }
  ready();
  wait_for_the_end();
}
