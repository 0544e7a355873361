"""Names looked up with an end in time. The system's look-up has none of ours, so it runs in a thread that nobody has to wait for.

Of one name one look-up is under way at a time, and of all together so many: a resolver that hangs holds up no sender, and does
not gather threads.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass, field

Resolve = Callable[[str, int], Sequence[str]]

MOST = 64


@dataclass(slots=True)
class Lookups:
    """The look-ups of a process that are under way."""

    most: int = MOST
    _flying: dict[tuple[Resolve, str, int], futures.Future[Sequence[str]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, resolve: Resolve, host: str, port: int, *, seconds: float) -> Sequence[str]:
        """Return what a name stands for.

        Raises:
            OSError: it is not known.
            TimeoutError: that was not found out in time, or too many others are being looked up; it is an `OSError`, too.
        """
        begun = self._begun(resolve, host, port)
        try:
            return begun.result(seconds)
        except futures.TimeoutError as error:
            raise TimeoutError(f"its name was not looked up within {seconds:.0f} seconds") from error

    def _begun(self, resolve: Resolve, host: str, port: int) -> futures.Future[Sequence[str]]:
        wanted = (resolve, host, port)
        with self._lock:
            known = self._flying.get(wanted)
            if known is not None:
                return known
            if len(self._flying) >= self.most:
                raise TimeoutError("too many other names are being looked up")
            future = self._flying[wanted] = futures.Future()
        # It ends with the process, however long it would take.
        threading.Thread(target=self._look_up, args=(wanted, future), name=f"look-up of {host}", daemon=True).start()
        return future

    def _look_up(self, wanted: tuple[Resolve, str, int], future: futures.Future[Sequence[str]]) -> None:
        resolve, host, port = wanted
        try:
            found = resolve(host, port)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told to those who wait
            self._end(wanted)
            future.set_exception(error)
        else:
            self._end(wanted)
            future.set_result(found)

    def _end(self, wanted: tuple[Resolve, str, int]) -> None:
        with self._lock:
            del self._flying[wanted]
