"""Wakes a thread that waits its turn: DBOS's queue worker, which would else look only now and then."""

import threading


class Bell(threading.Event):
    """An event that is set once, at the end, and whose waiting can be cut short before that."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._rung = False

    def ring(self) -> None:
        """Ends the wait of who waits, or else the next one. From any thread; never blocks."""
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def set(self) -> None:
        """Ends every wait, for good."""
        super().set()
        self.ring()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits that many seconds at most; True when the event is set, not when the bell was rung."""
        with self._changed:
            self._changed.wait_for(lambda: self._rung, timeout)
            self._rung = self.is_set()
        return self.is_set()
