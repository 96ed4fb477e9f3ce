"""asyncio: a server on a Unix socket, clients, children over pipes, signals and timers; each round needs all of them."""
import asyncio
import os
import signal
import sys


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def main():
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    signals = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, signals.put_nowait, "usr1")
    loop.add_reader(0, lambda: (os.read(0, 100), ended.set()))
    server = await asyncio.start_unix_server(serve, "socket")
    reader, writer = await asyncio.open_unix_connection("socket")
    pipe = asyncio.subprocess.PIPE
    cat = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    rounds = 0
    while not ended.is_set():
        rounds += 1
        writer.write(b"question %d\n" % rounds)
        assert await reader.readline() == b"QUESTION %d\n" % rounds
        cat.stdin.write(b"line %d\n" % rounds)
        assert await cat.stdout.readline() == b"line %d\n" % rounds
        child = await asyncio.create_subprocess_exec(
            "sh", "-c", f"sleep 0.05; kill -USR1 {os.getpid()}; echo out; exit 7", stdout=pipe
        )
        out, _ = await child.communicate()
        assert (out, child.returncode) == (b"out\n", 7), (out, child.returncode)
        assert await asyncio.wait_for(signals.get(), 20) == "usr1"
        await asyncio.gather(*(asyncio.sleep(0.01 * n) for n in range(5)), asyncio.to_thread(os.getpid))
        print("round", rounds, flush=True)
    cat.stdin.close()
    assert await cat.wait() == 0
    writer.close()
    server.close()
    print("end:", rounds, "rounds", flush=True)


asyncio.run(main())
