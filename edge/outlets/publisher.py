"""Owns the way of a message from the outbox to the broker, on a thread of its own; knows no driver.

    oldest row -> broker -> acknowledged -> row deleted

At least once, in order. A broker that is down costs nothing but time: exponential back-off, for ever. A message that
the broker refuses while it takes others is given up after `REFUSALS` attempts, counted as lost and named in the log,
so that it cannot stand in the way of the rest. `availability` is said here too, past the outbox: only its latest
value means anything.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

from edge.core import backoff, wire
from edge.core.errors import Reason, TransientError
from edge.core.messages import Fault, Recovered
from edge.outlets.outbox import Outbox, Row
from edge.ports import Broker

log = logging.getLogger(__name__)

BATCH = 20  # rows read at once
REFUSALS = 3
CLOSE_S = 0.4  # longest wait for a thread at the end

Delays: TypeAlias = Callable[[], Iterator[float]]


def default_delays() -> Iterator[float]:
    """Seconds between attempts while the disk or the broker does not answer."""
    return backoff.delays(1.0, 60.0, random=random.random)


class Publisher:
    """Empties the outbox into the broker."""

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        topics: wire.Topics,
        *,
        report: Callable[[Fault | Recovered], object],
        delays: Delays,
    ) -> None:
        self._outbox = outbox
        self._broker = broker
        self._topics = topics
        self._report = report
        self._delays = delays
        self._waits = delays()  # begun anew with every message that gets through
        self._failing = False  # the broker, and it was reported
        self._refused_seq, self._refusals = 0, 0
        self._greet = True  # "online" is to be said before anything else
        self._stopping = threading.Event()
        self._news = threading.Event()  # worth a look at the outbox
        self._again = threading.Event()  # worth another attempt, before the back-off is over
        # A daemon: stuck in a driver, it must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def wake(self) -> None:
        """The outbox holds something new."""
        self._news.set()

    def connected(self) -> None:
        """The broker was reached anew and may have said "offline" meanwhile."""
        self._greet = True
        self._news.set()
        self._again.set()

    def close(self) -> None:
        """Say "offline" if the broker listens, and end; a driver that does not return is left behind."""
        self._stopping.set()
        self._news.set()
        self._again.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.info("the broker does not return: its messages stay in the outbox")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._publish_batch()
                continue
            except TransientError as error:
                log.debug("telemetry waits: %s", error)
            except Exception:  # this thread's outermost frame: telemetry goes on
                log.exception("publishing failed")
            self._again.wait(next(self._waits))
            self._again.clear()
        self._say_goodbye()

    def _publish_batch(self) -> None:
        self._news.clear()
        if self._greet:
            self._greet = False
            self._say(wire.ONLINE)
        rows = self._outbox.oldest(BATCH)
        for row in rows:
            if self._stopping.is_set():
                return
            self._publish(row)
        if not rows and not self._stopping.is_set():
            self._news.wait()

    def _publish(self, row: Row) -> None:
        try:
            self._broker.publish(row.topic, row.payload, retain=row.retain)
        except TransientError as error:
            if not self._stopping.is_set():
                self._say(wire.ONLINE)  # raises when the broker takes nothing at all: then the row is not to blame
            self._blame(row, error)
        except ValueError as error:
            self._give_up(row, error)
        else:
            self._outbox.delete_up_to(row.seq)
            self._waits = self._delays()

    def _blame(self, row: Row, error: TransientError) -> None:
        self._refusals = self._refusals + 1 if row.seq == self._refused_seq else 1
        self._refused_seq = row.seq
        if self._refusals < REFUSALS or self._stopping.is_set():
            raise error
        self._give_up(row, error)

    def _give_up(self, row: Row, error: Exception) -> None:
        log.error("message %d on %s is refused and given up: %s", row.seq, row.topic, error)
        self._outbox.lose()
        self._outbox.delete_up_to(row.seq)

    def _say(self, word: bytes) -> None:
        """Say `online` or `offline`; also how the broker is found to be down or up."""
        try:
            self._broker.publish(self._topics.availability(), word, retain=True)
        except TransientError as error:
            self._greet = True
            if not self._failing:
                log.warning("telemetry waits in the outbox: %s", error)
                self._report(Fault("broker", Reason.STOPPED.value, str(error)))
            self._failing = True
            raise
        if self._failing:
            log.info("the broker takes telemetry again")
            self._report(Recovered("broker"))
            self._waits = self._delays()
        self._failing = False

    def _say_goodbye(self) -> None:
        if self._failing or self._greet:
            return
        try:
            self._say(wire.OFFLINE)
        except TransientError as error:
            log.info("no goodbye: %s", error)
