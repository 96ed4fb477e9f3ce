"""Threads that wait for each other: queues, a barrier, a condition, a lock, timed waits and a thread's own variables."""

import hashlib
import queue
import threading
import time
import zlib

workers = 4
rounds = 36
work = queue.Queue(maxsize=8)
results = {}
results_lock = threading.Lock()
barrier = threading.Barrier(workers)
turn = threading.Condition()
whose = 0
own = threading.local()
order = []
seen = []


def worker(index):
    global whose
    own.seen = 0
    while True:
        task = work.get()
        if task is None:
            break
        own.seen += 1
        name, data = task
        packed = zlib.compress(data, 6)
        digest = hashlib.sha256(packed)
        for _ in range(60):
            digest.update(data)
        with results_lock:
            results[name] = digest.hexdigest()
    seen.append(own.seen)
    # All have met; then each takes its turn, in the order of the indices, several times.
    barrier.wait()
    for lap in range(40):
        with turn:
            while whose != index + lap * workers:
                turn.wait(timeout=0.05)
            order.append(index)
            whose += 1
            turn.notify_all()
        time.sleep(0.002)


def block(seed):
    state = seed * 2654435761 % 2**32
    out = bytearray()
    while len(out) < 200_000:
        state = (state * 1664525 + 1013904223) % 2**32
        out += b"%d " % (state >> (seed % 9 + 12))
    return bytes(out)


threads = [threading.Thread(target=worker, args=(index,), name=f"worker {index}") for index in range(workers)]
for thread in threads:
    thread.start()
for number in range(rounds * workers):
    work.put((number, block(number)))
for _ in threads:
    work.put(None)
for thread in threads:
    thread.join()
for name in sorted(results):
    print(name, results[name])
print("tasks", len(seen), sum(seen))
print("turns", "".join(map(str, order)))
