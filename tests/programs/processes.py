"""Processes that talk over pipes: one worker per Pipe, then a Pool with its queues, locks and helper threads."""

import hashlib
import multiprocessing


def chain(start, length):
    digest = start
    for _ in range(length):
        digest = hashlib.sha256(digest).digest()
    return digest


def worker(tasks, answers):
    while True:
        task = tasks.recv()
        if task is None:
            break
        name, start, length = task
        answers.send((name, chain(start, length)))
    answers.send(None)


def collatz(start):
    steps, number = 0, start
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


def longest(bounds):
    low, high = bounds
    return max((collatz(start), start) for start in range(low, high))


def main():
    multiprocessing.set_start_method("fork")
    lines = []
    for count in range(3):
        task_reader, task_writer = multiprocessing.Pipe(duplex=False)
        answer_reader, answer_writer = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=worker, args=(task_reader, answer_writer))
        process.start()
        lines.append((task_writer, answer_reader, process))
    for turn in range(40):
        for index, (tasks, _, _) in enumerate(lines):
            tasks.send((f"{turn}.{index}", b"start %d %d" % (turn, index), 60_000))
    for tasks, answers, process in lines:
        tasks.send(None)
        while (answer := answers.recv()) is not None:
            print(answer[0], answer[1].hex())
        process.join()
        print("worker ended with", process.exitcode, flush=True)

    with multiprocessing.Pool(3) as pool:
        ranges = [(low, low + 2500) for low in range(1, 225_001, 2500)]
        for bounds, best in zip(ranges, pool.imap(longest, ranges, chunksize=2)):
            print(bounds, best)
        print(pool.apply(collatz, (27,)), sum(pool.map(collatz, range(1, 60_000))))


main()
