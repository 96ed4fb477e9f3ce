"""A client of a console socket: prints what comes out of each terminal that it is sent, and types its number into it."""
import array
import os
import select
import socket
import sys

listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(5)
print("ready", flush=True)
terminals = []
count = 0
while True:
    ready, _, _ = select.select([listening, *terminals], [], [])
    for each in ready:
        if each is listening:
            connection, _ = listening.accept()
            _, attached, _, _ = connection.recvmsg(4096, 1024)
            connection.close()
            for _, _, data in attached:
                numbers = array.array("i")
                numbers.frombytes(data[:4])
                terminals.append(numbers[0])
                count += 1
                print("terminal", count, flush=True)
                os.write(numbers[0], b"%d\n" % count)
            continue
        try:
            text = os.read(each, 4096)
        except OSError:
            text = b""
        if text:
            sys.stdout.buffer.write(text)
        else:
            terminals.remove(each)
            os.close(each)
            print("closed")
        sys.stdout.flush()
