"""
The process tree of the demo: a parent with a thread, and two children that work for it through pipes.

    tree.py PAUSE_BETWEEN_STEPS_IN_SECONDS STEPS

Every step prints one line, which depends on all the steps before it: what each process remembers is in its memory
alone, so a line is right only if nothing was lost.
"""

import hashlib
import os
import queue
import sys
import threading
import time

pause, steps = float(sys.argv[1]), int(sys.argv[2])


def primes(limit_pipe, answer_pipe):
    """A child that knows all primes so far and is asked for 1,000 numbers more at a time."""
    known, at = [], 2
    for line in limit_pipe:
        while at < int(line):
            if all(at % prime for prime in known if prime * prime <= at):
                known.append(at)
            at += 1
        print(len(known), known[-1], file=answer_pipe, flush=True)


def chain(text_pipe, answer_pipe):
    """A child that hashes what it is told into all it has been told before."""
    digest = b"criu-ts"
    for line in text_pipe:
        for _ in range(5000):
            digest = hashlib.sha256(digest + line.encode()).digest()
        print(digest.hex()[:12], file=answer_pipe, flush=True)


def start(work):
    """Forks a child with a pipe each way, and returns our ends of them."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to_write)
        os.close(from_read)
        work(os.fdopen(to_read), os.fdopen(from_write, "w"))
        os._exit(0)
    os.close(to_read)
    os.close(from_write)
    return os.fdopen(to_write, "w"), os.fdopen(from_read)


def digits_of_pi(out):
    """A thread of the parent: Gibbons' spigot, whose state grows with each digit."""
    q, r, t, k, n, l = 1, 0, 1, 1, 3, 3
    while True:
        if 4 * q + r - t < n * t:
            out.put(str(n))
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, l = q * k, (2 * q + r) * l, t * l, k + 1, (q * (7 * k + 2) + r * l) // (t * l), l + 2


limits, counts = start(primes)
texts, digests = start(chain)
digits = queue.Queue(maxsize=3)
threading.Thread(target=digits_of_pi, args=(digits,), daemon=True).start()

for step in range(1, steps + 1):
    print(step * 1000, file=limits, flush=True)
    print(f"step {step}", file=texts, flush=True)
    pi = "".join(digits.get() for _ in range(6))
    count, largest = counts.readline().split()
    digest = digests.readline().strip()
    print(f"{step:5}   {count:>5} primes, the last {largest:>6}   chain {digest}   pi ...{pi}", flush=True)
    time.sleep(pause)

limits.close()
texts.close()
sys.exit(os.wait()[1] or os.wait()[1])
