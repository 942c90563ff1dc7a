"""The table of outlets: what each row says is true of its outlet, and what one posts reaches all that take it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core import wire
from edge.core.errors import HardwareError, Reason
from edge.core.messages import Arrival, Decision, Edge, Fault, InUse, Notice, Pcm, Recovered, Sight, Utterance, Verdict
from edge.core.news import Newest, News, Taking
from edge.core.orders import Command, Response
from edge.core.seal import Claim
from edge.core.session import Reply
from edge.core.speech import Speech
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeBroker, FakePulser, FakeSpeaker, FakeSynth
from edge.hub import Hub, Message, Outlet, Post
from edge.outlets.album import CAPTURES
from edge.outlets.outbox import Outbox
from edge.outlets.phrases import Phrases
from edge.outlets.said import Said
from edge.settings import (
    CaptureConfig,
    Config,
    LightConfig,
    ModelConfig,
    MqttConfig,
    PulsesConfig,
    VoiceConfig,
    WebConfig,
)
from edge.wiring import TABLE, Kit, Outlets, Renewal, Row, Supply
from tests import sealed
from tests.devices import fake_parts

EVERYTHING = Config(
    model=ModelConfig(bundle="xts"),
    mqtt=MqttConfig(enabled=True, device_id="t1", commands=True),
    web=WebConfig(enabled=True, port=0),
    capture=CaptureConfig(enabled=True),
    pulses=PulsesConfig(driver="gpio", short_s=0.02, long_s=0.06, gap_s=0.02, pause_s=0.1),
    light=LightConfig(driver="gpio"),
)


NEWS = News(Claim("xts", "0.9.0", "XTS", "ab" * 32), "https://example.org/x.saynote")
SUPPLY = Supply(lambda url, _claim: url, lambda _payload: NEWS)


class Watched(Hub):
    """A hub that remembers who posted what, and can be waited on."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[tuple[str, Message]] = []
        self._changed = threading.Condition()

    def post(self, message: Message, sender: str = "") -> None:
        super().post(message, sender)
        with self._changed:
            self.posted.append((sender, message))
            self._changed.notify_all()

    def faults(self) -> list[tuple[str, str, str]]:
        """Sender, what kind, and the part."""
        found = [(sender, one) for sender, one in self.posted if isinstance(one, Fault | Recovered)]
        return [(sender, type(one).__name__, one.device) for sender, one in found]

    def until(self, true: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(true, 60), self.posted


class Brief(FakeSpeaker):
    """Every sound is over at once: the clock here is the real one."""

    def wait(self, timeout_s: float) -> bool:
        return True


class Bench:
    """The outlets of a device, over the shipped fakes, without a main loop."""

    def __init__(self, folder: Path, config: Config = EVERYTHING, **changes: object) -> None:
        devices: dict[str, object] = {
            "clock": SystemClock(),
            "speaker": Brief,
            "pulser": FakePulser,
            "light": FakePulser,
        }
        self.closing = contextlib.ExitStack()
        self.hub = Watched()
        self.screen = io.StringIO()
        self.state = folder
        bundle = bundles.read(app.find_bundle("xts"))
        self.speech = Speech("en", "XTS")
        phrases = Phrases(FakeSynth(), "en", "test")
        self.said = Said(self.speech.phrase("not genuine"), folder)
        self.kit = Kit(
            config, fake_parts(**(devices | changes)), [bundle], self.speech, phrases, self.said, folder, self.closing,
            self.screen, renewal=Renewal(lambda: [], lambda: None), supply=SUPPLY,
        )  # fmt: skip
        self.outlets = Outlets(self.kit, self.hub)

    def spoken(self) -> list[str]:
        return [utterance.text for utterance in self.said.utterances]

    def stored(self) -> list[Any]:
        """What waits for the broker, once all is closed."""
        outbox = Outbox(self.state / "outbox.sqlite3", 1000)
        rows = outbox.oldest(1000)
        outbox.close()
        return [wire.decode(row.payload) for row in rows]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(config: Config = EVERYTHING, **changes: object) -> Bench:
        made.append(Bench(tmp_path, config, **changes))
        made[-1].outlets.start()
        return made[-1]

    yield make
    for one in made:
        one.closing.close()


class Down(FakeBroker):
    """Never answers: what is sent to it stays in the outbox."""

    def __init__(self) -> None:
        super().__init__()
        self.down = True


def broken(device: str, reason: Reason = Reason.MISSING) -> Callable[[], Any]:
    def fail() -> None:
        raise HardwareError(device, reason, "as the test wants it")

    return fail


def kinds(hint: object) -> set[type]:
    """The classes in a union, however it is nested."""
    if get_origin(hint) in (Union, types.UnionType):
        return set().union(*(kinds(one) for one in get_args(hint)))
    assert isinstance(hint, type), hint
    return {hint}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_outlet_can_take_every_kind_that_its_row_names(row: Row, tmp_path: Path) -> None:
    made = Bench(tmp_path)
    outlet = row.make(made.kit, made.hub.post)
    made.closing.close()
    hints = get_type_hints(type(outlet).offer)
    taken = next(hint for name, hint in hints.items() if name != "return")
    assert set(row.takes) <= kinds(taken)
    assert len(set(row.takes)) == len(row.takes), "none of them twice"


def test_names_are_unique_and_a_plain_device_has_what_it_needs_and_nothing_more(tmp_path: Path) -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
    made = Bench(tmp_path, Config(model=ModelConfig(bundle="xts")), pulser=None, light=None)
    made.closing.close()
    plain = dataclasses.replace(made.kit, screen=None)
    assert [row.name for row in TABLE if row.wanted(plain)] == ["health", "said", "announcer"]
    assert [row.name for row in TABLE if row.wanted(Bench(tmp_path).kit)] == [row.name for row in TABLE]


def test_pictures_reach_only_those_who_show_or_keep_them_and_only_where_the_owner_wants_it(tmp_path: Path) -> None:
    assert [row.name for row in TABLE if Sight in row.takes] == ["capture", "web"]
    plain = Bench(tmp_path, Config(model=ModelConfig(bundle="xts")))
    plain.closing.close()
    assert not plain.hub.taken(Sight)


class Recorder:
    """An outlet that notes its start and end; it may refuse to start."""

    def __init__(self, name: str, notes: list[str], error: Exception | None = None) -> None:
        self.name, self.notes, self.error = name, notes, error

    def start(self) -> None:
        if self.error is not None:
            raise self.error
        self.notes.append(f"{self.name} starts")

    def offer(self, message: object) -> bool:
        if isinstance(message, Fault | Notice):
            self.notes.append(f"{self.name} hears {message}")
        return True

    def close(self) -> None:
        self.notes.append(f"{self.name} ends")


def recorded(tmp_path: Path, notes: list[str], error: Exception | None = None) -> tuple[Outlets, contextlib.ExitStack]:
    """A table of two outlets and two extras, the first of which may refuse to start."""

    def row(name: str, extra: str = "", refuses: Exception | None = None) -> Row:
        def make(_kit: Kit, _post: Post) -> Outlet:
            return Recorder(name, notes, refuses)

        return Row(name, make, (Fault, Notice), extra=extra)

    made = Bench(tmp_path)
    made.closing.close()
    kit = dataclasses.replace(made.kit, closing=contextlib.ExitStack())
    table = (row("first"), row("second"), row("keeps", "captures kept", error), row("shows", "live view"))
    return Outlets(kit, Hub(), table), kit.closing


def test_outlets_start_in_the_order_of_the_table_and_end_in_the_opposite_one_extras_first(tmp_path: Path) -> None:
    notes: list[str] = []
    outlets, closing = recorded(tmp_path, notes)
    outlets.start()
    closing.callback(lambda: notes.append("the button is let go"))
    outlets.start_extras()
    closing.close()
    assert [note for note in notes if "hears" not in note] == [
        *("first starts", "second starts", "keeps starts", "shows starts"),
        *("shows ends", "keeps ends", "the button is let go", "second ends", "first ends"),
    ]
    assert "first hears Notice(phrase='captures kept')" in notes
    assert "first hears Notice(phrase='live view')" in notes


def test_an_extra_that_cannot_start_is_told_hears_nothing_more_and_the_rest_goes_on(tmp_path: Path) -> None:
    notes: list[str] = []
    error = HardwareError("disk", Reason.FULL, "no room")
    outlets, closing = recorded(tmp_path, notes, error)
    outlets.start()
    outlets.start_extras()
    closing.close()
    assert f"second hears {Fault.of(error)}" in notes
    assert f"keeps hears {Fault.of(error)}" not in notes
    assert "first hears Notice(phrase='captures kept')" not in notes
    assert "shows starts" in notes
    assert notes.count("keeps ends") >= 1


def test_a_snapshot_is_answered_at_once_with_why_captures_could_not_start(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    (tmp_path / CAPTURES).write_text("a file where the folder should be")
    broker = FakeBroker()
    found = bench(broker=lambda topics: broker)
    found.outlets.start_extras()
    broker.listeners[found.kit.topics.commands()](found.kit.topics.command("snapshot"), b'{"id": "c1"}', False)
    found.hub.until(lambda: any(isinstance(message, Response) for _, message in found.hub.posted))
    (answer,) = [message for _, message in found.hub.posted if isinstance(message, Response)]
    assert answer.why.startswith("this device keeps no pictures: disk broken: pictures cannot be kept")
    assert not any(isinstance(message, Command) for _, message in found.hub.posted), "nobody is asked for it"


def test_a_mistake_in_an_extra_is_logged_and_the_device_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notes: list[str] = []
    outlets, closing = recorded(tmp_path, notes, UnicodeError("label empty or too long"))
    outlets.start()
    outlets.start_extras()
    closing.close()
    assert "keeps cannot start: label empty" in caplog.text
    assert "shows starts" in notes


def test_an_outlet_that_is_no_extra_ends_the_start_where_it_cannot_begin(tmp_path: Path) -> None:
    made = Bench(tmp_path)
    made.closing.close()

    def make(_kit: Kit, _post: Post) -> Outlet:
        return Recorder("announcer", [], HardwareError("pulses", Reason.MISSING, "no pins"))

    outlets = Outlets(made.kit, Hub(), (Row("announcer", make, (Fault,)),))
    with pytest.raises(HardwareError, match="no pins"):
        outlets.start()


def test_once_another_bundle_looks_messages_are_signed_with_it(bench: Callable[..., Bench]) -> None:
    made = bench(broker=lambda topics: Down())
    made.hub.post(Fault("camera", "stopped"))
    made.hub.post(InUse("xts 0.2.0", "ab" * 32, {}))
    made.hub.post(Arrival("XTS-0.2.0-abababab", "stays"))
    made.closing.close()
    told = [one for one in made.stored() if isinstance(one, wire.FaultPayload | wire.BundlePayload)]
    before = sealed.CONFIGURED["XTS"]
    names = [(f"xts {before.version}", before.digest), ("xts 0.2.0", "ab" * 32)]
    assert [(one.bundle, one.digest) for one in told][-2:] == names


def test_the_broker_closes_after_telemetry_and_the_outbox_last(tmp_path: Path) -> None:
    order: list[str] = []

    class Noting(FakeBroker):
        def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
            if payload == wire.OFFLINE:
                order.append("goodbye")
            super().publish(topic, payload, retain=retain)

        def close(self) -> None:
            order.append("broker")
            super().close()

    made = Bench(tmp_path, broker=lambda topics: Noting())
    made.outlets.start()
    made.hub.until(lambda: made.hub.posted)
    made.closing.close()
    assert order[-1] == "broker"
    assert order in (["goodbye", "broker"], ["broker"]), "one that had not said hello says no goodbye"
    assert not [thread.name for thread in threading.enumerate() if thread.name in {row.name for row in TABLE}]


def test_a_missing_sound_card_is_sent_shown_and_felt(bench: Callable[..., Bench]) -> None:
    pulser = FakePulser()
    made = bench(speaker=broken("speaker"), broker=lambda topics: Down(), pulser=lambda: pulser)
    made.hub.post(Notice("live view"))  # to be said, and not felt
    made.hub.until(lambda: ("announcer", "Fault", "speaker") in made.hub.faults())
    made.closing.close()
    assert "speaker" in [found.part for found in made.stored() if isinstance(found, wire.FaultPayload)]
    assert "fault: speaker missing as the test wants it" in made.screen.getvalue()
    assert len(pulser.pulses) == len("---"), "something is wrong"


@pytest.mark.parametrize(
    ("part", "sentence"), [("pulser", "The pulses do not work"), ("light", "The light does not work")]
)
def test_a_pin_that_fails_is_spoken_and_sent(bench: Callable[..., Bench], part: str, sentence: str) -> None:
    device = {"pulser": "pulses", "light": "light"}[part]
    made = bench(**{part: broken(device), "broker": lambda topics: Down()})
    made.hub.until(lambda: sentence in made.spoken())
    made.closing.close()
    assert device in [found.part for found in made.stored() if isinstance(found, wire.FaultPayload)]


def test_a_broker_that_does_not_answer_is_spoken_and_shown_and_stands_in_no_message_of_its_own(
    bench: Callable[..., Bench],
) -> None:
    made = bench(broker=lambda topics: Down())
    made.hub.until(lambda: "The message broker does not answer" in made.spoken())
    made.closing.close()
    assert "fault: broker stopped" in made.screen.getvalue()
    assert "broker" not in [found.part for found in made.stored() if isinstance(found, wire.FaultPayload)]


class Heard(FakeBroker):
    """Can be waited on until it has taken something."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        super().publish(topic, payload, retain=retain)
        with self._changed:
            self._changed.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(true, 60)

    def until_told(self, topic: str, times: int) -> None:
        self.until(lambda: [one.topic for one in self.messages].count(topic) >= times)


def test_home_assistant_is_told_of_the_device_and_again_when_it_is_born(bench: Callable[..., Bench]) -> None:
    broker, topic = Heard(), "homes/sensor/t1/total/config"
    mqtt = msgspec.structs.replace(EVERYTHING.mqtt, discovery=True, discovery_prefix="homes")
    bench(msgspec.structs.replace(EVERYTHING, mqtt=mqtt), broker=lambda topics: broker)
    broker.until_told(topic, 1)
    for payload, retained in ((b"offline", False), (b"online", True), (b"online", False)):
        broker.listeners["homes/status"]("homes/status", payload, retained)
    broker.until_told(topic, 2)
    assert topic in broker.retained


def test_what_is_newest_is_taken_in_at_a_press_and_stands_in_state_meanwhile(bench: Callable[..., Bench]) -> None:
    broker = Heard()
    made = bench(broker=lambda topics: broker)
    topics = made.kit.topics
    broker.listeners[topics.newest("XTS")](topics.newest("XTS"), b"as it was signed", True)
    made.hub.until(lambda: ("tidings", Newest("XTS", NEWS)) in made.hub.posted)
    broker.listeners[topics.commands()](topics.command("bundle"), b'{"id": "a", "newest": "XTS"}', False)
    made.hub.until(lambda: ("orders", Response("a", "bundle", ok=True, result=NEWS.url)) in made.hub.posted)
    assert [message.busy for _, message in made.hub.posted if isinstance(message, Taking)] == [True, False]

    told = {"version": "0.9.0", "page": "", "installing": False, "why": ""}

    def newest() -> list[Any]:
        state = json.loads(broker.retained.get(topics.state(), b'{"bundles": []}'))
        return [one["newest"] for one in state["bundles"]]

    broker.until(lambda: newest() == [told])


def test_without_commands_nobody_is_listened_to_not_even_for_what_is_newest(bench: Callable[..., Bench]) -> None:
    broker = Heard()
    mqtt = msgspec.structs.replace(EVERYTHING.mqtt, commands=False)
    bench(msgspec.structs.replace(EVERYTHING, mqtt=mqtt), broker=lambda topics: broker)
    assert broker.listeners == {}


def test_a_disk_that_takes_no_events_is_spoken(bench: Callable[..., Bench], tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite3").mkdir()
    made = bench()
    made.hub.post(Fault("camera", "missing"))
    made.hub.until(lambda: made.speech.fault(Fault("outbox", "")) in made.spoken())


def test_a_press_is_answered_by_voice_and_hand_alike_and_seen_by_who_watches(bench: Callable[..., Bench]) -> None:
    pulser = FakePulser()
    made = bench(pulser=lambda: pulser)
    now_s = made.kit.devices.clock.now_s()
    for down, t_s in ((True, now_s - 2.0), (False, now_s - 1.8)):
        made.hub.post(Edge(down, t_s))
    made.hub.until(lambda: ("announcer", Reply.NOTHING_YET) in made.hub.posted)
    made.hub.until(lambda: "No note yet" in made.spoken())
    made.closing.close()
    assert "“No note yet”" in made.screen.getvalue()
    assert len(pulser.pulses) == len("--."), "no note yet"


def test_an_amount_is_spoken_felt_counted_shown_and_sent(bench: Callable[..., Bench]) -> None:
    pulser = FakePulser()
    made = bench(pulser=lambda: pulser, broker=lambda topics: Down())
    made.hub.post(Decision(Verdict.AMOUNT, 1, 0.1, 1, "20", 0.98, 5))
    made.hub.until(lambda: "20 play crowns" in made.spoken())
    made.closing.close()
    assert "amount 20 (0.98, 5 frames)" in made.screen.getvalue()
    assert [found.amount for found in made.stored() if isinstance(found, wire.DetectionPayload)] == ["20"]
    assert len(pulser.pulses) == 3, "20 is the third amount"


class Deaf(FakeSpeaker):
    """Opens, and refuses every sound."""

    def play(self, pcm: Pcm) -> None:
        raise HardwareError("speaker", Reason.STOPPED, "it takes no samples")


class Stuck(FakePulser):
    """Opens, and cannot be switched."""

    def set(self, on: bool) -> None:
        raise HardwareError("pulses", Reason.BROKEN, "it does not switch")


def test_parts_that_fail_over_and_over_do_not_answer_each_other_for_ever(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice and a motor that open and do not work, a lamp that is not there, a broker that takes nothing."""
    cards, motors = threading.Semaphore(0), threading.Semaphore(0)
    monkeypatch.setattr("edge.outlets.announcer.REOPEN_AFTER_S", 0.01)
    monkeypatch.setattr("edge.outlets.switch.REOPEN_AFTER_S", 0.01)

    def card() -> Deaf:
        cards.release()
        return Deaf()

    def motor() -> Stuck:
        motors.release()
        return Stuck()

    made = bench(speaker=card, pulser=motor, light=broken("light"), broker=lambda topics: Down())
    for _ in range(5):
        made.hub.post(Notice("ready"))
        made.hub.post(Decision(Verdict.AMOUNT, 1, 0.1, 1, "20", 0.98, 5))
    for tries in (cards, motors):
        assert all(tries.acquire(timeout=60) for _ in range(6)), "it is tried again and again"
    assert sorted(made.hub.faults()) == [
        ("announcer", "Fault", "speaker"),
        ("light", "Fault", "light"),
        ("pulses", "Fault", "pulses"),
        ("telemetry", "Fault", "broker"),
    ], "each once, however often it was tried, and none of them is said to work again"


def test_voices_in_the_settings_decide_about_pulses_that_must_work(tmp_path: Path) -> None:
    silent = Config(
        model=ModelConfig(bundle="xts"), voice=VoiceConfig(driver="none"), pulses=PulsesConfig(driver="gpio")
    )
    with pytest.raises(HardwareError, match="as the test wants it"):
        Bench(tmp_path, silent, pulser=broken("pulses"))


def test_an_utterance_reaches_who_shows_it_and_not_who_sends(tmp_path: Path) -> None:
    takers = [row.name for row in TABLE if Utterance in row.takes]
    assert takers == ["view", "said", "web"], "what is said aloud never travels"
