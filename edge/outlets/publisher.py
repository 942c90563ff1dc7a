"""Owns the way of a message from the outbox to the broker, on a thread of its own; knows no driver.

    oldest row -> broker -> acknowledged -> row deleted

At least once, in order within each topic. A broker that is down costs nothing but time: exponential back-off, for
ever. A message that the broker refuses, or that it leaves unanswered while it takes others, is given up after
`ATTEMPTS`, counted as lost and named in the log; after the second of them the messages of other topics go first.
`availability` is said here too, past the outbox, as all of which only the latest value means anything (`keep`): at
once, and again whenever the broker was reached anew.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from edge.core import backoff, wire
from edge.core.errors import Reason, RefusedError, TransientError, UnansweredError
from edge.core.messages import Fault, Recovered
from edge.outlets.outbox import Outbox
from edge.outlets.rows import Row
from edge.outlets.worker import Mishaps
from edge.ports import Broker

log = logging.getLogger(__name__)

ATTEMPTS = 3
SILENCES = 2  # in a row, without any answer, make a broker that does not answer
UNHEARD_S = 3600.0  # until `availability` is tried again with a broker that refuses it
REPORT_AGAIN_S = 3600.0
CLOSE_S = 0.4  # longest wait for a thread at the end

Delays: TypeAlias = Callable[[], Iterator[float]]


def default_delays() -> Iterator[float]:
    """Seconds between attempts while the disk or the broker does not answer."""
    return backoff.delays(1.0, 60.0, random=random.random)


@dataclass
class _Trouble:
    """How the message fares that is next on a topic, since its first attempt failed."""

    waits: Iterator[float]
    attempts: int = 0  # those that are held against it
    answers: int = 0  # of the broker, when the last of these was counted
    due_s: float = 0.0  # when the next is to be made


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
        barred: Callable[[Row], bool] = lambda row: False,
        acknowledged: Callable[[Row], object] = lambda row: None,
    ) -> None:
        """`barred`: a row that must not leave the device any more; it is given up. `acknowledged`: hears of each row
        that the broker has."""
        self._outbox = outbox
        self._broker = broker
        self._availability = topics.availability()
        self._latest = {self._availability: wire.ONLINE}  # by topic, in the order in which they are said
        self._unsaid = {self._availability}  # to be said before any row
        self._saying = threading.Lock()  # over the two
        self._report = report
        self._delays = delays
        self._barred, self._acknowledged = barred, acknowledged
        self._waits = delays()  # begun anew with every answer
        self._said = ""  # why telemetry waits, as it stands in the log; empty while it does not
        self._reported = False  # that the broker does not answer, to all others
        self._reported_s = float("-inf")
        self._answers = 0  # of the broker, yes or no, in this run
        self._silences = 0  # since the last of them
        self._troubles: dict[str, _Trouble] = {}  # by topic
        self._mishaps = Mishaps("publisher")
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

    def keep(self, topic: str, payload: bytes) -> None:
        """Say `payload` on `topic`, retained, and keep it said; what was to be said there before is out of date."""
        with self._saying:
            self._latest[topic] = payload
            self._unsaid.add(topic)
        self._news.set()

    def connected(self) -> None:
        """The broker was reached anew: it may have said "offline" meanwhile, or have forgotten what it kept."""
        with self._saying:
            self._unsaid.update(self._latest)
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
                self._turn()
                continue
            except TransientError as error:
                log.debug("telemetry waits: %s", error)
            except Exception as error:  # noqa: BLE001 -- this thread's outermost frame: telemetry goes on
                self._mishaps.note(error)
            self._again.wait(next(self._waits))
            self._again.clear()
        self._say_goodbye()

    def _turn(self) -> None:
        """Send what is to be sent now; then wait for something to do."""
        self._news.clear()
        for topic in self._next_unsaid():
            self._say(topic)
        # One at a time: what had to go meanwhile, for want of room, is counted as lost and must not be sent.
        rows = self._outbox.oldest(1, without=[topic for topic in self._troubles if self._resting(topic)])
        for row in rows:
            self._send(row)
        if not rows and not self._stopping.is_set():
            due_s = [trouble.due_s for trouble in self._troubles.values()]
            self._news.wait(max(0.0, min(due_s) - time.monotonic()) if due_s else None)

    def _next_unsaid(self) -> list[str]:
        with self._saying:
            return [topic for topic in self._latest if topic in self._unsaid and not self._resting(topic)]

    def _greet(self) -> None:
        """Also how the broker is found to be up or down."""
        with self._saying:
            self._unsaid.add(self._availability)

    def _resting(self, topic: str) -> bool:
        trouble = self._troubles.get(topic)
        return trouble is not None and trouble.due_s > time.monotonic()

    def _send(self, row: Row) -> None:
        if self._barred(row):
            self._outbox.give_up(row.seq)
            return
        try:
            self._publish(row.topic, row.payload, retain=row.retain)
        except (UnansweredError, RefusedError) as error:
            if isinstance(error, UnansweredError):
                self._greet()  # asks whether the broker takes anything at all
            if self._blame(row.topic, error):
                self._give_up(row, error)
        except ValueError as error:
            self._give_up(row, error)
        else:
            self._outbox.delete(row.seq)
            self._acknowledged(row)

    def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish, and learn from it how the broker does."""
        try:
            self._broker.publish(topic, payload, retain=retain)
        except RefusedError:
            self._answered()
            raise
        except UnansweredError as error:
            self._silences += 1
            if self._silences >= SILENCES:
                self._away(error)
            raise
        except TransientError as error:
            self._greet()
            self._away(error)
            raise
        self._troubles.pop(topic, None)
        self._answered()

    def _answered(self) -> None:
        self._answers += 1
        self._silences = 0
        self._waits = self._delays()
        if self._said:
            log.info("the broker takes telemetry again")
        if self._reported:
            self._report(Recovered("broker"))
        self._said, self._reported = "", False

    def _away(self, error: TransientError) -> None:
        """Say that the broker does not answer: each reason in the log; aloud, if it comes and goes, once an hour."""
        if not self._reported and time.monotonic() >= self._reported_s + REPORT_AGAIN_S:
            self._reported, self._reported_s = True, time.monotonic()
            self._report(Fault("broker", Reason.STOPPED.value, str(error)))
        if self._said != str(error):
            log.warning("telemetry waits in the outbox: %s", error)
        self._said = str(error)

    def _blame(self, topic: str, error: TransientError) -> bool:
        """Hold the failed attempt against the topic's next message; True when that was the last one.

        Silence is held against it only where the broker has answered something else since the attempt before.
        """
        trouble = self._troubles.setdefault(topic, _Trouble(self._delays()))
        counted = isinstance(error, RefusedError) or self._answers > trouble.answers
        if counted:
            trouble.attempts, trouble.answers = trouble.attempts + 1, self._answers
        # A first silence may be the network's: then the message is sent again at once, and the order stands.
        if isinstance(error, RefusedError) or not counted or trouble.attempts > 1:
            trouble.due_s = time.monotonic() + next(trouble.waits)
        return trouble.attempts >= ATTEMPTS

    def _give_up(self, row: Row, error: Exception) -> None:
        log.error("message %d on %s is refused and given up: %s", row.seq, row.topic, error)
        self._troubles.pop(row.topic, None)
        self._outbox.give_up(row.seq)

    def _say(self, topic: str) -> None:
        with self._saying:
            self._unsaid.discard(topic)
            payload = self._latest[topic]
        try:
            self._publish(topic, payload, retain=True)
        except (UnansweredError, RefusedError, ValueError) as error:
            self._unsay(topic)
            if not isinstance(error, TransientError) or self._blame(topic, error):
                self._rest(topic, error)
        except TransientError:
            self._unsay(topic)
            raise

    def _unsay(self, topic: str) -> None:
        with self._saying:
            self._unsaid.add(topic)

    def _rest(self, topic: str, error: Exception) -> None:
        log.error("message on %s is refused, and tried again in an hour: %s", topic, error)
        self._troubles[topic] = _Trouble(self._delays(), due_s=time.monotonic() + UNHEARD_S)

    def _say_goodbye(self) -> None:
        if self._said or self._availability in self._unsaid:
            return
        try:
            self._broker.publish(self._availability, wire.OFFLINE, retain=True)
        except TransientError as error:
            log.info("no goodbye: %s", error)
