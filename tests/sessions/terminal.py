"""Owns a pseudo-terminal, as an emulator does, inside of the tree: runs a command on it, types what comes through the
FIFO `keys`, and appends what is shown to the file `screen`. Ends as the command does, with its status in `status`.

    terminal.py ROWS COLUMNS COMMAND...
"""
import ctypes
import fcntl
import os
import pty
import select
import struct
import sys
import termios

# What puts itself into the background, as a multiplexer's server does, stays in the tree.
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
os.mkfifo("keys")
keys = os.open("keys", os.O_RDWR)
screen = os.open("screen", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[3], sys.argv[3:])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", int(sys.argv[1]), int(sys.argv[2]), 0, 0))
status = None
while True:
    ready, _, _ = select.select([master, keys], [], [], 0.1)
    if keys in ready:
        text = os.read(keys, 4096)
        while text:
            text = text[os.write(master, text) :]
    if master in ready:
        try:
            shown = os.read(master, 4096)
        except OSError:
            break
        os.write(screen, shown)
    # Also orphans.
    while status is None and (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
        if ended[0] == pid:
            status = ended[1]
if status is None:
    status = os.waitpid(pid, 0)[1]
with open("status.new", "w") as out:
    out.write(str(os.waitstatus_to_exitcode(status)))
os.rename("status.new", "status")
