"""Owns the way of an event to the disk, and hands on to the publisher; knows neither driver nor network.

    inbox -> payload -> outbox (committed), on this outlet's own thread, which never waits for the network

The inbox holds `INBOX` events for the time the disk is slow or full; what is turned away then is counted as lost.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from edge.core import wire
from edge.core.errors import Reason, TransientError
from edge.core.messages import Decision, Event, Fault, Recovered, Verdict
from edge.outlets.inbox import Inbox
from edge.outlets.outbox import Outbox
from edge.outlets.publisher import CLOSE_S, Delays, Publisher, default_delays
from edge.outlets.worker import Mishaps
from edge.ports import Broker, Clock

log = logging.getLogger(__name__)

INBOX = 256


@dataclass(frozen=True, slots=True)
class _Noted:
    """An event and when it was offered."""

    event: Event
    t_s: float  # since the run began
    wall_s: float | None


class Telemetry:
    """The outlet that tells the owner's broker; the main loop only offers.

    `report` hears of a disk or a broker that fails or works again, from a thread of telemetry's.
    """

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        clock: Clock,
        topics: wire.Topics,
        source: wire.Source,
        *,
        report: Callable[[Fault | Recovered], object] = lambda event: None,
        delays: Delays = default_delays,
    ) -> None:
        self._outbox, self._broker = outbox, broker
        self._clock = clock
        self._topics = topics
        self._source = source
        self._report = report
        self._delays = delays
        self._began_s = clock.now_s()
        self._inbox: Inbox[_Noted] = Inbox(INBOX, drop="newest")
        self._dropped = 0  # by the inbox, and already counted as lost
        self._mishaps = Mishaps("telemetry")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._publisher = Publisher(outbox, broker, topics, report=report, delays=delays)

    def start(self) -> None:
        """Begin; what a former run left in the outbox goes first."""
        self._thread.start()
        self._publisher.start()

    def offer(self, event: Event) -> bool:
        """Never waits; False when the event was lost here. Events that do not travel are ignored."""
        if not wire.reported(event):
            return True
        t_s = max(0.0, self._clock.now_s() - self._began_s)
        return self._inbox.offer(_Noted(event, t_s, self._clock.wall_s()))

    def connected(self) -> None:
        """To be called whenever the broker was reached anew; only hands on."""
        self._publisher.connected()

    def close(self) -> None:
        """Write down what was offered and end within a second; what was not sent goes with the next start."""
        self._stopping.set()
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("the disk is too slow: %d events are lost at the end", len(self._inbox))
        self._publisher.close()

    def _run(self) -> None:
        while not self._inbox.ended:
            noted = self._inbox.take()
            if noted is None:
                continue
            try:
                self._write(noted)
            except TransientError as error:  # at the end of the run, on a disk that takes nothing
                self._outbox.lose()
                log.warning("an event was lost: %s: %s", type(noted.event).__name__, error)
            except Exception as error:  # noqa: BLE001 -- this thread's outermost frame: one bad event must not end it
                self._outbox.lose()
                self._mishaps.note(error)

    def _write(self, noted: _Noted) -> None:
        """Try until the disk takes it; at the end of the run, once."""
        for attempt, delay_s in enumerate(self._delays()):
            try:
                self._add(noted)
            except TransientError as error:
                if attempt == 0:
                    self._report(Fault("outbox", Reason.BROKEN.value, str(error)))
                if self._stopping.wait(delay_s):
                    raise
                continue
            if attempt:
                self._report(Recovered("outbox"))
            return

    def _add(self, noted: _Noted) -> None:
        self._count_dropped()
        taken_over = self._broker.taken_over()
        self._outbox.add(
            self._topics.of(noted.event),
            lambda entry: wire.encode(
                wire.payload(
                    noted.event, self._source, entry, t_s=noted.t_s, wall_s=noted.wall_s, taken_over=taken_over
                )
            ),
            retain=wire.retained(noted.event),
            worth=wire.worth(noted.event),
            tally=self._tally(noted),
        )
        self._publisher.wake()

    def _tally(self, noted: _Noted) -> tuple[str, str] | None:
        event = noted.event
        if noted.wall_s is None or not isinstance(event, Decision) or event.verdict is not Verdict.AMOUNT:
            return None
        try:
            day = datetime.datetime.fromtimestamp(noted.wall_s).date()  # the owner's day: local time
        except (ValueError, OverflowError, OSError):
            return None  # a clock that shows a year beyond all calendars
        return day.isoformat(), f"{event.currency or self._source.currency} {event.label}"

    def _count_dropped(self) -> None:
        dropped = self._inbox.dropped
        if dropped > self._dropped:
            log.warning("%d events lost before the outbox: the disk is too slow or full", dropped - self._dropped)
            self._outbox.lose(dropped - self._dropped)
            self._dropped = dropped
