"""Inside the sandbox: makes the platform's sockets reachable as ports of 127.0.0.1, then runs the payload.

`python3 -I -S relay.py PORT=SOCKET... -- PROGRAM ARGUMENT...`; standard library only. The sandbox has a network
namespace of its own, so these ports exist for this payload alone. Exits as the payload exits.
"""
import os
import selectors
import signal
import socket
import sys

BUFFER_BYTES = 1 << 16


def listen(port):
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(128)
    server.setblocking(False)
    return server


class Pipe:
    """One direction of one connection: what was read from `source` and is not yet written to `sink`."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.waiting = b""
        self.ended = False


class Relay:
    def __init__(self, selector):
        self.selector = selector
        self.pipes = {}  # socket -> (pipe that reads from it, pipe that writes to it)

    def open(self, near, path):
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            far.connect(path)
        except OSError:
            near.close()
            far.close()
            return
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for one in (near, far):
            one.setblocking(False)
        out, back = Pipe(near, far), Pipe(far, near)
        self.pipes[near] = (out, back)
        self.pipes[far] = (back, out)
        for one in (near, far):
            self.selector.register(one, selectors.EVENT_READ, self.ready)

    def close(self, one):
        out, _ = self.pipes[one]
        for side in (out.source, out.sink):
            if side in self.pipes:
                del self.pipes[side]
                if self.selector.get_map().get(side) is not None:
                    self.selector.unregister(side)
                side.close()

    def interest(self, one):
        """What to wait for on one side: room to read into, or something to write; a connection that is over is closed."""
        reads, writes = self.pipes[one]
        if reads.ended and writes.ended and not reads.waiting and not writes.waiting:
            self.close(one)
            return
        events = 0
        if not reads.ended and not reads.waiting:
            events |= selectors.EVENT_READ
        if writes.waiting:
            events |= selectors.EVENT_WRITE
        # Selectors refuse an empty mask: a side with nothing to do is taken out until its turn.
        known = self.selector.get_map().get(one)
        if events == 0 and known is not None:
            self.selector.unregister(one)
        elif events != 0 and known is None:
            self.selector.register(one, events, self.ready)
        elif events != 0:
            self.selector.modify(one, events, self.ready)

    def ready(self, one, events):
        try:
            if events & selectors.EVENT_READ and one in self.pipes:
                self.read(self.pipes[one][0])
            if events & selectors.EVENT_WRITE and one in self.pipes:
                self.write(self.pipes[one][1])
        except OSError:
            if one in self.pipes:
                self.close(one)

    def read(self, pipe):
        try:
            data = pipe.source.recv(BUFFER_BYTES)
        except BlockingIOError:
            return
        if data:
            pipe.waiting = data
            self.write(pipe)
        else:
            pipe.ended = True
            pipe.sink.shutdown(socket.SHUT_WR)
        for side in (pipe.source, pipe.sink):
            if side in self.pipes:
                self.interest(side)

    def write(self, pipe):
        try:
            sent = pipe.sink.send(pipe.waiting)
            pipe.waiting = pipe.waiting[sent:]
        except BlockingIOError:
            pass
        for side in (pipe.source, pipe.sink):
            if side in self.pipes:
                self.interest(side)


def main(arguments):
    split = arguments.index("--")
    routes = [route.split("=", 1) for route in arguments[:split]]
    command = arguments[split + 1:]
    selector = selectors.DefaultSelector()
    relay = Relay(selector)

    def accept(server, path):
        try:
            near, _ = server.accept()
        except OSError:
            return
        relay.open(near, path)

    for port, path in routes:
        server = listen(int(port))
        selector.register(server, selectors.EVENT_READ, lambda one, _events, path=path: accept(one, path))
    wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    selector.register(wake_read, selectors.EVENT_READ, lambda _one, _events: os.read(wake_read, 512))
    child = os.fork()
    if child == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print("%s: %s" % (command[0], error.strerror), file=sys.stderr, flush=True)
        os._exit(127)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: os.kill(child, got))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        for key, events in selector.select():
            key.data(key.fileobj, events)


if __name__ == "__main__":
    main(sys.argv[1:])
