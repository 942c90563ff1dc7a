"""Owns connections until their request is whole: one thread reads them all; knows no HTTP but where a head ends.

A connection that sends nothing, or drips, costs neither a thread nor anybody else's place. Where too many have not sent
a whole head, the sender who has most of them loses the oldest: whoever sends a request at once is served. Only whole
heads are answered, each on a thread, so many at a time; the others wait their turn.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import logging
import selectors
import socket
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

HEAD_MAX_BYTES = 16_384
WAITING_MAX = 64  # connections without a whole head, and heads that wait for an answer
SENDERS_KNOWN = 1024
REST_S = 0.1  # where the system gives no more connections


@functools.lru_cache(SENDERS_KNOWN)
def sender(address: str) -> str:
    """Who is behind `address`: itself, or the network that one sender has at will in IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


@dataclass(slots=True)
class Caller:
    """One connection, and what it has sent of its request."""

    connection: socket.socket
    address: str
    until_s: float
    head: bytes = b""

    @property
    def whole(self) -> bool:
        """Whether there is nothing more to wait for: the end of the head, or more than one may have."""
        return b"\r\n\r\n" in self.head or b"\n\n" in self.head or len(self.head) >= HEAD_MAX_BYTES

    def hang_up(self) -> None:
        """Let the connection go."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
        self.connection.close()


class Door:
    """Takes connections of `listener` and calls `answer` with each whole one, as many at a time as `free` permits."""

    def __init__(
        self,
        listener: socket.socket,
        answer: Callable[[Caller], None],
        free: threading.BoundedSemaphore,
        *,
        head_s: float,
    ) -> None:
        """`head_s`: how long a connection may take to send a whole head."""
        self._listener, self._answer, self._free, self._head_s = listener, answer, free, head_s
        self._waiting: OrderedDict[socket.socket, Caller] = OrderedDict()  # in the order in which they came
        self._whole: deque[Caller] = deque()  # heads that wait for a thread
        self._lock = threading.Lock()  # over `_whole`
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        for one in (listener, self._stopped):
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections; answers under way go on. May be called twice."""
        if self._thread.is_alive():
            self._stop.send(b"x")
            self._thread.join()
        for one in (self._listener, self._stop, self._stopped):
            one.close()

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            self._selector.close()
            for caller in [*self._waiting.values(), *self._whole]:
                caller.hang_up()

    def _turn(self) -> bool:
        """Whatever has come; False once it is closed."""
        oldest = next(iter(self._waiting.values()), None)
        patience_s = None if oldest is None else max(0.0, oldest.until_s - time.monotonic())
        for key, _ in self._selector.select(patience_s):
            if key.fileobj is self._stopped:
                return False
            try:
                self._accept() if key.fileobj is self._listener else self._read(key.fileobj)
            except Exception:  # one connection must not close the door to the others
                log.exception("a connection was not served")
        now_s = time.monotonic()
        for caller in [one for one in self._waiting.values() if one.until_s <= now_s]:
            self._forget(caller).hang_up()
        return True

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it has gone again
        except OSError as error:  # too many files are open
            log.warning("no more connections just now: %s", error)
            self._make_room()
            time.sleep(REST_S)
            return
        if len(self._waiting) >= WAITING_MAX:
            self._make_room()
        connection.setblocking(False)
        self._waiting[connection] = Caller(connection, str(address[0]), time.monotonic() + self._head_s)
        self._selector.register(connection, selectors.EVENT_READ)

    def _make_room(self) -> None:
        senders = {caller.connection: sender(caller.address) for caller in self._waiting.values()}
        for who, _ in Counter(senders.values()).most_common(1):
            oldest = next(caller for caller in self._waiting.values() if senders[caller.connection] == who)
            log.debug("too many connections: the oldest of %s is let go", who)
            self._forget(oldest).hang_up()

    def _forget(self, caller: Caller) -> Caller:
        self._selector.unregister(caller.connection)
        return self._waiting.pop(caller.connection)

    def _read(self, connection: Any) -> None:
        caller = self._waiting.get(connection)
        if caller is None:  # let go a moment ago
            return
        try:
            received = connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            received, caller.head = b"", b""
        caller.head += received
        if received and not caller.whole:
            return
        self._forget(caller)
        if caller.head:
            self._let_in(caller)
        else:
            caller.hang_up()

    def _let_in(self, caller: Caller) -> None:
        with self._lock:
            if not self._free.acquire(blocking=False):
                self._whole.append(caller)
                surplus = self._whole.popleft() if len(self._whole) > WAITING_MAX else None
                if surplus is not None:
                    surplus.hang_up()
                return
        try:
            threading.Thread(target=self._serve, args=(caller,), name="http", daemon=True).start()
        except RuntimeError:  # no more threads
            self._free.release()
            caller.hang_up()
            raise

    def _serve(self, caller: Caller | None) -> None:
        """In a thread: answer, then whoever waits."""
        while caller is not None:
            try:
                self._answer(caller)
            except OSError as error:
                log.debug("a reader has gone or is too slow: %s", error)
            except Exception:
                log.exception("a page was not served")
            caller.hang_up()
            with self._lock:
                caller = self._whole.popleft() if self._whole else None
                if caller is None:
                    self._free.release()
