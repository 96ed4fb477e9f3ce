"""A server for python.ts to test: asyncio, with a session for each connection and a timer for each answer."""
import asyncio
import sys

total = 0


async def session(reader, writer):
    global total
    number = 0
    while True:
        line = await reader.readline()
        if not line:
            break
        number += 1
        total += 1
        mine = total
        await asyncio.sleep(0.005)
        writer.write(b"%d %d %s" % (number, mine, line))
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(session, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
