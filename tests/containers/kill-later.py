"""Executes a command and has it killed by SIGKILL after so many milliseconds: kill-later.py MILLISECONDS PROGRAM ..."""
import os
import select
import signal
import sys

pidfd = os.pidfd_open(os.getpid())
# A grandchild, which is nobody's among those that the command may wait for.
child = os.fork()
if child == 0:
    if os.fork() == 0:
        os.setsid()
        os.dup2(pidfd, 0)
        os.closerange(1, 4096)
        poll = select.poll()
        poll.register(0, select.POLLIN)
        if not poll.poll(float(sys.argv[1])):
            signal.pidfd_send_signal(0, signal.SIGKILL)
    os._exit(0)
os.waitpid(child, 0)
os.close(pidfd)
os.execvp(sys.argv[2], sys.argv[2:])
