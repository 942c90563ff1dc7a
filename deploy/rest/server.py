"""Owns the life of the service: where it listens, who is let in, and an end that loses nothing that was let in.

At SIGTERM: /readyz says no (`notice_s` long others are still let in), then no connection is taken any more; those that
were are answered, each with `Connection: close`; who has a connection and asks nothing is let go after `linger_s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal
import socket
import struct
from collections import Counter
from collections.abc import Iterator

import cv2
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from deploy.rest import app
from deploy.rest.gate import Gate
from deploy.rest.pool import Pool
from deploy.rest.reader import Reader
from deploy.rest.settings import Settings
from edge.core.errors import HardwareError, Reason
from edge.drivers.door import sender
from edge.drivers.http import listening

log = logging.getLogger(__name__)

BACKLOG = 1024
CONNECTIONS_MAX, OF_ONE_MAX = 2048, 512  # at a time; of one sender
SETTLE_S = 0.05  # for what the system has taken already, once it takes no more
SO_ATTACH_FILTER = 26


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises BundleError, ConfigError, HardwareError where it cannot begin."""
    cv2.setNumThreads(1)  # the threads are the readers'
    with contextlib.closing(listen(settings.host, settings.port)) as listener:
        pool = Pool(
            lambda: Reader(settings.bundles, settings.language, settings.most_pixels),
            settings.workers,
            settings.most_waiting,
        )
        service = app.build(settings, pool)
        host, port = listener.getsockname()[:2]
        key = "with a key" if settings.keys else "without a key, to this machine alone"
        log.info("serving at http://%s:%d, %s", f"[{host}]" if ":" in host else host, port, key)
        if settings.collect:
            log.warning("pictures and answers are kept in %s", settings.collect)
        Server(service.gate, settings).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A socket there. Raises HardwareError."""
    try:
        return listening(host, port, BACKLOG)
    except OSError as error:
        detail = f"it cannot listen at {host}, port {port}: {error.strerror or error}"
        raise HardwareError("service", Reason.BUSY, detail) from error


class Server(uvicorn.Server):
    """uvicorn's, with a patient end."""

    def __init__(self, gate: Gate, settings: Settings) -> None:
        senders: Counter[str] = Counter()

        class Connection(_Connection):
            head_s, answer_s = settings.head_s, settings.answer_s
            of = senders

        config = uvicorn.Config(
            gate, http=Connection, ws="none", loop="asyncio", lifespan="on", log_config=None, access_log=False,
            backlog=BACKLOG, timeout_keep_alive=max(1, int(settings.head_s)), server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=max(1, int(settings.end_s)),
        )  # fmt: skip
        super().__init__(config)
        self._gate, self._settings = gate, settings

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but ending in good order is no death by a signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # it has ended: whoever asks again has what they want

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody new in, answer who was, then end."""
        self._gate.draining = True
        log.info("ending: %d connections", len(self.server_state.connections))
        await asyncio.sleep(self._settings.notice_s)
        for listener in sockets or []:
            take_no_more(listener)
        await asyncio.sleep(SETTLE_S)
        for server in self.servers:
            server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.linger_s):
                while self.server_state.connections:
                    await asyncio.sleep(SETTLE_S)
        await super().shutdown(sockets)


def take_no_more(listener: socket.socket) -> None:
    """Let the system take no further connection: what it has taken can then be taken from it before it is closed.

    A filter that drops what comes to the listener, as Linux has it; elsewhere what comes in that moment is refused.
    """
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes
    program = struct.pack("HP", 1, ctypes.addressof(drop_all))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


class _Connection(H11Protocol):
    """uvicorn's, which lets go of those who send no head or take no answer in time, and of one sender's too many."""

    head_s: float
    answer_s: float
    of: Counter[str]
    _sender = ""
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._sender = sender((self.client or ("",))[0])
        self.of[self._sender] += 1
        if len(self.connections) > CONNECTIONS_MAX or self.of[self._sender] > OF_ONE_MAX:
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()
        self._is_read()
        self.of[self._sender] -= 1
        if self.of[self._sender] <= 0:
            del self.of[self._sender]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.answer_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_read()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait_for_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.head_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
