// ptys NUMBER: so many pseudo-terminals, both ends open, with a line that was typed and a line that was printed.
#define _GNU_SOURCE
#include <sys/resource.h>
#include <termios.h>

#include "workload.h"

int main(int argc, char **argv) {
  int ptys = number(argc, argv);
  struct rlimit files = {2 * ptys + 100, 2 * ptys + 100};
  setrlimit(RLIMIT_NOFILE, &files);
  for (int i = 0; i < ptys; i++) {
    struct termios attributes;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) return 1;
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0 || tcgetattr(slave, &attributes) < 0) return 1;
    attributes.c_lflag &= ~ECHO;
    if (tcsetattr(slave, TCSANOW, &attributes) < 0) return 1;
    if (write(master, "typed\n", 6) != 6 || write(slave, "printed\n", 8) != 8) return 1;
  }
  ready();
  wait_for_the_end();
}
