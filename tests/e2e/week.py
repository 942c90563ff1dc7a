"""A week of the button and of telemetry in simulated time: all outlets of a device, a real broker that is away for an
hour of each day, and a reader that accounts for every message.

The recording is played each ten minutes; in the other minutes the button is pressed, and each minute the device reports
on itself. The camera's own part is `endurance`'s. A month with an amount a day lies before the first day: so long the
device remembers its days.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge import app
from edge.core import bundle as bundles
from edge.core import picture, wire
from edge.core.bundle import Bundle
from edge.core.decide import Decider
from edge.core.messages import Decision, Frame, Observation, Utterance, Verdict
from edge.core.observe import Observer
from edge.core.speech import Speech
from edge.drivers.fake import FakeButton, FakeClock
from edge.drivers.mqtt import PahoBroker
from edge.drivers.tflite import TfliteEngine
from edge.hub import Hub, Post
from edge.outlets.health import HealthMonitor
from edge.outlets.phrases import Phrases
from edge.outlets.said import Said
from edge.settings import ButtonConfig, Config, ModelConfig, MqttConfig
from edge.wiring import TABLE, Kit, Outlets, Row
from tests.devices import fake_parts
from tests.e2e.field import KeepingMosquitto, Subscriber, start_broker
from tests.e2e.holding import Ear, Hand, Holding, Voice, Watcher, holding

DAY = 1440  # minutes
AWAY = 24  # of the day's parts, in one of which the broker is away
SHOWN_EVERY = 10  # minutes
MONTH = 31  # days before the first: a device tells the last thirty
RATE = 10.0  # frames a second of the recording
WAYS = ("short", "long", "short", "double", "very long", "short")  # a short one after a very long one is yes
PATIENCE_S = 60.0
MOST = 1_000_000  # messages

Seen = list[tuple[Observation, list[Decision]]]


class Minutely(HealthMonitor):
    """Reports when it is told to, each minute of simulated time, and not by the clock on the wall."""

    def start(self) -> None:
        """Nothing has to be begun."""


class Utterances:
    """An outlet that counts what was said."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def start(self) -> None:
        """Nothing has to be begun."""

    def offer(self, _utterance: Utterance) -> bool:
        with self._changed:
            self.count += 1
            self._changed.notify_all()
        return True

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, PATIENCE_S), "nothing was said to it"

    def close(self) -> None:
        """Nothing is held."""


class Tally(Subscriber):
    """Notes which messages came, and keeps none."""

    def __init__(self, port: int, health: str) -> None:
        self.came, self.count, self.reports = bytearray(MOST), 0, 0
        self._health, self._changed = health, threading.Condition()
        super().__init__(port, "tally")

    def _take(self, message: Any) -> None:
        with self._changed:
            self.count += 1
            self.reports += message.topic == self._health
            if not message.topic.endswith("/availability") and (seq := wire.decode(message.payload).seq) is not None:
                self.came[seq] = 1
            self._changed.notify_all()

    def wait_for(self, reports: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.reports >= reports, PATIENCE_S), f"{self.reports} of {reports}"


@dataclasses.dataclass
class Stage:
    """A device without a camera, and what happens to it."""

    clock: FakeClock
    hub: Hub
    hand: Hand
    said: Utterances
    monitor: HealthMonitor
    seen: Seen
    presences: int = 0
    reports: int = 0

    def show(self) -> None:
        """The recording, from beginning to end; every amount is waited for."""
        for observation, decisions in self.seen:
            self.clock.advance(1 / RATE)
            now_s = self.clock.now_s()
            self.hub.post(dataclasses.replace(observation, t_s=now_s))
            for decision in decisions:
                before = self.said.count
                number = self.presences + decision.presence
                self.hub.post(dataclasses.replace(decision, t_s=now_s, presence=number))
                if decision.verdict is Verdict.AMOUNT:
                    self.said.wait_for(before + 1)
        self.presences += max(decision.presence for _, decisions in self.seen for decision in decisions)

    def press(self) -> None:
        """One press, and its answer."""
        before = self.said.count
        self.hand.begin()
        while self.hand.move():
            self.clock.advance(0.1)
        self.clock.advance(1.0)
        self.said.wait_for(before + 1)

    def report(self) -> None:
        """As each minute."""
        self.monitor.look()
        self.hub.post(self.monitor.measure(), sender="health")
        self.reports += 1


def seen_by(bundle: Bundle) -> Seen:
    """What the recording leads to, a frame after the other."""
    engine = TfliteEngine(bundle.model, threads=1)
    observer = Observer(bundle, engine.invoke, time.perf_counter)
    decider = Decider(bundle.labels, bundle.manifest.decision)
    found: Seen = []
    for number, path in enumerate(sorted(app.REPLAY.glob("*.jpg"))):
        observation = observer.observe(Frame(number, number / RATE, picture.read(path).pixels))
        found.append((observation, decider.step(observation)))
    engine.close()
    return found


@contextlib.contextmanager
def staged(port: int, state: Path, ear: Ear) -> Iterator[Stage]:
    """All outlets of a device with telemetry, put together as `app` does."""
    bundle = bundles.read(app.find_bundle("xts"))
    clock, said, hub = FakeClock(), Utterances(), Hub()
    mqtt = MqttConfig(enabled=True, host="127.0.0.1", port=port, device_id="pi-1", discovery=True)
    # So soon a press is known to be no double one: the announcer waits by the clock on the wall.
    config = Config(model=ModelConfig(bundle="xts"), mqtt=mqtt, button=ButtonConfig(double_within_s=0.15))
    devices = fake_parts(
        clock=clock,
        speaker=lambda: ear,
        supervisor=Watcher(),
        broker=lambda topics: PahoBroker(mqtt, None, topics.availability(), wire.OFFLINE),
    )
    speech = Speech(config.voice.language, bundle.manifest.currency)
    phrases = Phrases(Voice(), config.voice.language, "", state / "phrases")
    made: list[Minutely] = []

    def minutely(kit: Kit, post: Post) -> Minutely:
        made.append(Minutely(clock, devices.board, devices.supervisor, post, interval_s=60.0, disk=kit.state))
        return made[0]

    table = [Row("health", minutely, row.takes) if row.name == "health" else row for row in TABLE]
    with contextlib.ExitStack() as closing:
        phrases.start(later=speech.fixed(bundle.denominations, {}))
        closing.callback(phrases.close)
        kit = Kit(config, devices, [bundle], speech, phrases, Said("", state), state, closing)
        outlets = Outlets(kit, hub, [*table, Row("counted", lambda kit, post: said, (Utterance,))])
        outlets.start()
        button = FakeButton(clock)
        button.listen(hub.post)
        yield Stage(clock, hub, Hand(clock, button, WAYS), said, made[0], seen_by(bundle))


def run(days: int, state: Path, tell: Callable[[Holding], object] = lambda held: None, day: int = DAY) -> list[Holding]:
    """Live so many days, the first `day` minutes of each; what was held at their ends, which `tell` hears at once.

    Raises AssertionError where something is not said or not answered, or a message is not accounted for.
    """
    (state / "broker").mkdir(parents=True)
    (state / "device").mkdir()
    broker, ear, held = start_broker(state / "broker"), Ear(), list[Holding]()
    tally = Tally(broker.port, wire.Topics("saynote", "pi-1").health())
    try:
        with staged(broker.port, state / "device", ear) as stage:
            _remember(stage, tally)
            for number in range(days):
                _live(stage, tally, broker, day)
                stage.clock.advance((DAY - day) * 60.0)
                held.append(holding((number + 1) * DAY / 60, state / "device", ear.sounds, tally.count))
                tell(held[-1])
        _account(state / "device" / "outbox.sqlite3", tally)
    finally:
        tally.close()
        broker.stop()
    return held


def _remember(stage: Stage, tally: Tally) -> None:
    for _ in range(MONTH):
        stage.show()
        stage.report()
        tally.wait_for(stage.reports)
        stage.clock.advance(DAY * 60.0)


def _live(stage: Stage, tally: Tally, broker: KeepingMosquitto, day: int) -> None:
    away = range(day // 2, day // 2 + day // AWAY)
    for minute in range(day):
        until_s = stage.clock.now_s() + 60.0
        if minute == away.start:
            broker.stop()
        elif minute == away.stop:
            broker.start()
        stage.press() if minute % SHOWN_EVERY else stage.show()
        stage.clock.advance(max(0.0, until_s - stage.clock.now_s()))
        stage.report()
        if minute not in away:
            tally.wait_for(stage.reports)


def _account(outbox: Path, tally: Tally) -> None:
    """Every message that got a number has arrived, or goes with the next start."""
    with contextlib.closing(sqlite3.connect(outbox)) as db:
        counters = dict(db.execute("SELECT name, value FROM counters"))
        (waiting,) = db.execute("SELECT count(*) FROM messages").fetchone()
    assert counters.get("lost", 0) == 0, f"{counters['lost']} messages were lost"
    assert sum(tally.came) + waiting >= counters["seq"], f"{sum(tally.came)} of {counters['seq']} messages came"
