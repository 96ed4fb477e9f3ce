"""A client of the RPC, made of the messages of Debian's pycriu. The order is JSON on standard input, the story JSON on
standard output: what came back for each request, what was told meanwhile, how the worker ended."""
import json
import os
import socket
import struct
import sys

from google.protobuf.json_format import MessageToDict, ParseDict
import pycriu.rpc_pb2 as rpc

order = json.load(sys.stdin)
TIMEOUT = 50


def connect():
    """A worker of our own, or a connection to the service."""
    if "socket" in order:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(order["socket"])
        s.settimeout(TIMEOUT)
        return s, None
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        os.set_inheritable(its.fileno(), True)
        if order.get("bare"):
            os.closerange(0, 3)
        os.execvp(order["swrk"][0], order["swrk"] + ["swrk", str(its.fileno())])
    its.close()
    ours.settimeout(TIMEOUT)
    return ours, pid


def receive(s):
    data, ancillary, _, _ = s.recvmsg(1 << 16, socket.CMSG_SPACE(16))
    fds = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds += struct.unpack("%di" % (len(payload) // 4), payload)
    if not data:
        return None, fds
    response = rpc.criu_resp()
    response.ParseFromString(data)
    return response, fds


def ask(s, wanted):
    """Sends one request and takes what comes until it is answered."""
    if "raw" in wanted:
        s.send(bytes.fromhex(wanted["raw"]))
        request = None
    else:
        request = ParseDict(wanted["request"], rpc.criu_req())
        for field, path in wanted.get("dirs", {}).items():
            setattr(request.opts, field, os.open(path, os.O_RDONLY | os.O_DIRECTORY))
        s.send(request.SerializeToString())
    told = []
    handed = []
    while True:
        response, fds = receive(s)
        if response is None:
            return {"response": None, "told": told}
        if response.type != rpc.NOTIFY:
            for fd in handed:
                os.write(fd, wanted.get("types", "").encode())
            return {"response": MessageToDict(response, preserving_proto_field_name=True), "told": told}
        script = response.notify.script
        if script == wanted.get("dies_at"):
            os._exit(9)
        one = {"script": script}
        if response.notify.HasField("pid"):
            one["pid"] = response.notify.pid
        handed += fds
        if fds:
            one["fds"] = [os.readlink("/proc/self/fd/%d" % fd) for fd in fds]
        told.append(one)
        answer = rpc.criu_req()
        answer.type = rpc.NOTIFY
        answer.notify_success = script != wanted.get("refuses")
        answer.opts.images_dir_fd = -1
        if script == "query-ext-files":
            answer.opts.external.extend(wanted.get("external", []))
        s.send(answer.SerializeToString())


# All of them before the first of them asks.
others = [connect() for _ in range(order.get("more", 0))]
s, worker = connect()
story = {"pid": os.getpid(), "answers": []}
for wanted in order["requests"]:
    if order.get("apart") and story["answers"]:
        s.close()
        s, _ = connect()
    try:
        story["answers"].append(ask(s, wanted))
    except OSError as error:
        story["answers"].append({"error": str(error)})
        break
for other, _ in others:
    story["answers"].append(ask(other, order["requests"][0]))
    other.close()
s.close()
if worker is not None:
    story["exit"] = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
if order.get("ends"):
    for pid in order["ends"]:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
print(json.dumps(story))
