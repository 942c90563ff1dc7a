"""Owns the way of an event to the disk, and hands on to the publisher; knows neither driver nor network.

    inbox -> payload -> outbox (committed), on this outlet's own thread, which never waits for the network
          -> what stands (`Bulletin`) and what was counted today (`Diary`), past it

The inbox holds `INBOX` events for the time the disk is slow or full; what is turned away then is counted as lost. What
its owner does not share goes no further than the inbox, but for what `Bulletin` and `Diary` may tell of it.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edge.core import wire
from edge.core.errors import Reason, TransientError
from edge.core.messages import (
    Arrival,
    Compared,
    Decision,
    Event,
    Fault,
    Guidance,
    Health,
    InUse,
    Recovered,
    Stretch,
    Verdict,
)
from edge.core.news import Newest, Taking
from edge.core.orders import RELOAD, Answered, Response
from edge.core.session import Standing
from edge.core.wire import Moment
from edge.outlets.bulletin import Bulletin
from edge.outlets.diary import Diary, day_of
from edge.outlets.inbox import Inbox
from edge.outlets.outbox import Outbox
from edge.outlets.publisher import CLOSE_S, Delays, Publisher, default_delays
from edge.outlets.rows import Row
from edge.outlets.worker import Mishaps
from edge.ports import Broker, Clock

log = logging.getLogger(__name__)

INBOX = 256
SUMMARY_S = 3600.0  # between two, unless a day ends

Unsent: TypeAlias = Stretch | Standing | InUse | Compared | Newest | Taking  # they travel as no messages of their own
Item: TypeAlias = Event | Response | Unsent


@dataclass(frozen=True, slots=True)
class _Noted:
    """An event and when it was offered."""

    event: Item
    moment: Moment
    ours: bool = False  # of telemetry's own way: it stands, and is not sent as an event


class Telemetry:
    """The outlet that tells the owner's broker; the main loop only offers.

    `report` hears of a disk or a broker that fails or works again, and that an answer on which the end of the run waits
    has arrived, from a thread of telemetry's.
    """

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        clock: Clock,
        topics: wire.Topics,
        source: wire.Source,
        *,
        report: Callable[[Fault | Recovered | Answered], object] = lambda event: None,
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
        self._dropped = 0  # for want of room in the inbox, and not counted as lost yet
        self._dropping = threading.Lock()
        self._mishaps = Mishaps("telemetry")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._publisher = Publisher(
            outbox,
            broker,
            topics,
            report=self._tell,
            delays=delays,
            barred=self._is_unshared,
            acknowledged=self._has_arrived,
        )
        self._bulletin = Bulletin(source, lambda payload: self._publisher.keep(topics.state(), payload))
        self._diary = Diary(outbox, source)
        self._cut = False  # what is not shared any more was removed from the disk
        self._summed_s, self._day = float("-inf"), ""  # when the last summary was made, and on which day

    def start(self) -> None:
        """Begin; what a former run left in the outbox goes first."""
        self._thread.start()

    def offer(self, event: Item) -> bool:
        """Never waits; False when the event was lost here. Events that concern nobody afar are ignored."""
        if isinstance(event, Event) and wire.level_of(event) is None:
            return True
        if self._inbox.offer(_Noted(event, self._now())):
            return True
        with self._dropping:
            self._dropped += self._travels(event)
        return False

    def keep(self, topic: str, payload: bytes) -> None:
        """Say `payload` on `topic`, retained, whenever the broker was reached anew; only hands on."""
        self._publisher.keep(topic, payload)

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

    def _now(self) -> Moment:
        return Moment(max(0.0, self._clock.now_s() - self._began_s), self._clock.wall_s())

    def _tell(self, event: Fault | Recovered) -> None:
        """What the way to the broker finds in itself: all others hear of it, and it stands."""
        self._inbox.offer(_Noted(event, self._now(), ours=True))
        self._report(event)

    def _run(self) -> None:
        with self._mishaps:
            self._forget_unshared()
            self._summarise(self._now())
        self._publisher.start()  # not before: what is not shared any more must be gone
        while not self._inbox.ended:
            noted = self._inbox.take(self._bulletin.wait_s(time.monotonic()))
            with self._mishaps:
                if noted is not None:
                    self._take(noted)
                self._bulletin.turn(self._now(), time.monotonic())
        with self._mishaps:
            self._diary.write(self._clock.wall_s())

    def _take(self, noted: _Noted) -> None:
        event = noted.event
        if isinstance(event, InUse):
            self._source = dataclasses.replace(
                self._source, bundle=event.bundle, digest=event.digest, versions=event.versions
            )
            self._bulletin.renew(self._source)
            return
        if isinstance(event, Decision | Standing | Fault | Recovered | Arrival | Compared | Newest | Taking):
            self._bulletin.note(event, noted.moment)
        if noted.ours:
            return
        if isinstance(event, Decision | Guidance | Fault | Recovered | Stretch):
            self._diary.note(event, noted.moment.wall_s)
        if isinstance(event, Stretch):
            self._minute_has_passed(noted.moment)
        elif isinstance(event, Health):
            self._bulletin.again()
        if not isinstance(event, Unsent) and self._travels(event):
            self._keep(event, noted.moment)

    def _travels(self, event: Item) -> bool:
        """As a message of its own, as far as its owner shares."""
        level = None if isinstance(event, Unsent) else wire.level_of(event)
        return level is not None and self._source.tells(level)

    def _minute_has_passed(self, now: Moment) -> None:
        self._diary.write(now.wall_s)
        if not self._cut:
            self._forget_unshared()
        if now.t_s >= self._summed_s + SUMMARY_S or day_of(now.wall_s) != self._day:
            self._summarise(now)

    def _summarise(self, now: Moment) -> None:
        self._summed_s, self._day = now.t_s, day_of(now.wall_s)
        told = wire.summary(self._diary.told(now.wall_s), self._source, now)
        self._publisher.keep(self._topics.summary(), wire.encode(told))

    def _forget_unshared(self) -> None:
        """What was kept while more was shared: it must neither be sent nor stay on the disk."""
        try:
            self._diary.begin()
            if self._source.share != "amounts":
                gone = self._outbox.forget(self._is_unshared, tallies=True)
                if gone:
                    log.warning("%d messages of more than mqtt.share allows were not sent yet, and are removed", gone)
        except TransientError as error:
            log.debug("what is not shared any more is removed later: %s", error)
            return
        self._cut = True

    def _is_unshared(self, row: Row) -> bool:
        try:
            return not wire.may_wait(wire.decode(row.payload), self._source)
        except ValueError:  # of another release
            return True

    def _has_arrived(self, row: Row) -> None:
        if row.topic == self._topics.response(RELOAD):
            told = wire.decode(row.payload)
            if isinstance(told, wire.ResponsePayload):
                self._report(Answered(told.id))

    def _keep(self, event: Event | Response, moment: Moment) -> None:
        try:
            self._write(event, moment)
        except TransientError as error:  # at the end of the run, on a disk that takes nothing
            self._outbox.lose()
            log.warning("an event was lost: %s: %s", type(event).__name__, error)
        except Exception as error:  # noqa: BLE001 -- one bad event must not cost those after it
            self._outbox.lose()
            self._mishaps.note(error)

    def _write(self, event: Event | Response, moment: Moment) -> None:
        """Try until the disk takes it; at the end of the run, once."""
        for attempt, delay_s in enumerate(self._delays()):
            try:
                self._add(event, moment)
            except TransientError as error:
                if attempt == 0:
                    self._disk_is(Fault("outbox", Reason.BROKEN.value, str(error)))
                if self._rest(delay_s):
                    raise
                continue
            if attempt:
                self._disk_is(Recovered("outbox"))
            return

    def _rest(self, seconds: float) -> bool:
        """Wait, True when the end has come; what stands is said meanwhile."""
        until_s = now_s = time.monotonic()
        until_s += seconds
        while now_s < until_s and not self._stopping.is_set():
            self._bulletin.turn(self._now(), now_s)
            due_s = self._bulletin.wait_s(now_s)
            self._stopping.wait(until_s - now_s if due_s is None else min(until_s - now_s, due_s))
            now_s = time.monotonic()
        return self._stopping.is_set()

    def _disk_is(self, event: Fault | Recovered) -> None:
        self._report(event)
        self._bulletin.note(event, self._now())

    def _add(self, event: Event | Response, moment: Moment) -> None:
        self._count_dropped()
        taken_over = self._broker.taken_over()
        self._outbox.add(
            self._topics.of(event),
            lambda entry: wire.encode(wire.payload(event, self._source, entry, moment, taken_over=taken_over)),
            retain=wire.retained(event),
            worth=wire.worth(event),
            tally=self._tally(event, moment),
        )
        self._publisher.wake()

    def _tally(self, event: Event | Response, moment: Moment) -> tuple[str, str] | None:
        if not isinstance(event, Decision) or event.verdict is not Verdict.AMOUNT:
            return None
        day = day_of(moment.wall_s)
        return (day, f"{event.currency or self._source.currency} {event.label}") if day else None

    def _count_dropped(self) -> None:
        with self._dropping:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("%d events lost before the outbox: the disk is too slow or full", dropped)
            self._outbox.lose(dropped)
