"""A bad line to a server: slow, or cut in the middle of what is sent."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Line:
    """A forwarder on loopback. `cut_after`: bytes sent, of all connections together, after which each one is
    reset; None: never. `hold_after`: the same, but they hang. `pause` seconds after each block."""

    server: int
    cut_after: int | None = None
    hold_after: int | None = None
    pause: float = 0.0
    sent: int = 0
    port: int = 0
    #: Set when the line is closed, or when it is good again.
    freed: threading.Event = field(default_factory=threading.Event)
    _open: list[socket.socket] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        """Takes connections until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server))
            self._open += [client, server]
            for source, sink, counted in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, counted), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counted:
                    self.sent += len(data)
                    time.sleep(self.pause)
                    if self.cut_after is not None and self.sent > self.cut_after:
                        break
                    if self.hold_after is not None and self.sent > self.hold_after:
                        self.freed.wait()
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends every connection."""
        self.freed.set()
        for end in self._open:
            end.close()


@contextmanager
def bad_line(server: int, **how: float) -> Iterator[Line]:
    """Such a line to that port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(server=server, port=listener.getsockname()[1], **how)  # type: ignore[arg-type]
        threading.Thread(target=line.serve, args=(listener,), daemon=True).start()
        yield line
        line.close()
