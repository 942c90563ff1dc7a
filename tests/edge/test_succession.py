"""An installed bundle takes the place of the one in use while frames come, and is left again where it does not do well.

Frames are those of a camera in front of which notes come and go; engines and the shadow see them by `World`, so each
test says what which bundle makes of them.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import app
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import BundleError, HardwareError, Reason
from edge.core.ledger import Tally
from edge.core.messages import Decision, Frame, Verdict
from edge.core.pocket import Pocket
from edge.core.rehearsal import Answer
from edge.core.seal import Claim
from edge.core.shelf import Shelf
from edge.settings import ModelConfig
from edge.succession import Shadow, Succession, Terms
from tests import sealed
from training.playmoney import notes

pytestmark = pytest.mark.integration

PATIENCE_S = 30.0
PICTURE = notes.draw(50, "front", 1, 320)
XTS = sealed.CONFIGURED["XTS"]
SINCE_S = 1_750_000_000.0
QUICK = ModelConfig(bundle="xts", shadow_s=5, shadow_notes=2)
AMOUNTS = ("5", "10", "20", "50", "100", "500")
# Each in another place: what does not change is not looked at again.
SIGHTS = {label: np.roll(PICTURE, 25 * at, axis=1) for at, label in enumerate(["background", *AMOUNTS])}
IN_VIEW, AWAY = 15, 20  # frames of each note, and between two


class World:
    """What is in front of the camera."""

    def __init__(self) -> None:
        self.label = "background"
        self.number = 0

    def frames(self) -> Iterator[Frame]:
        for amount in itertools.cycle(AMOUNTS):
            for label in [amount] * IN_VIEW + ["background"] * AWAY:
                self.label = label
                yield Frame(self.number, self.number / 15, SIGHTS[label], label)
                self.number += 1


class Engine:
    """Answers the self-test as it must; then says what is there, or what `then` makes of it."""

    runtime = "seeing 1"

    def __init__(self, bundle: Bundle, world: World, then: Callable[[str], str] = lambda label: label) -> None:
        self._bundle, self._world, self._then = bundle, world, then
        self._left = [[row[None], np.full((1, 5), 0.5, np.float32)] for row in bundle.selftest_logits]
        self.closed = False

    def input_shape(self) -> tuple[int, ...]:
        size = self._bundle.manifest.input
        return (1, size.height, size.width, 3)

    def invoke(self, _tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        if self.closed:
            raise HardwareError("engine", Reason.STOPPED, "it was closed")
        if self._left:
            return self._left.pop(0)
        label = self._then(self._world.label)
        row = [[40.0 if name == label else 0.0 for name in self._bundle.labels]]
        return [np.array(row, np.float32), np.full((1, 5), 0.5, np.float32)]

    def close(self) -> None:
        self.closed = True


class Looker:
    """A shadow that says each note once, or what `then` makes of it."""

    def __init__(self, world: World, then: Callable[[str], str] = lambda label: label, cpu_ms: float = 1.0) -> None:
        self._world, self._then, self._cpu_ms = world, then, cpu_ms
        self._before = "background"
        self._frame: Frame | None = None
        self.looks = 0
        self.closed = False

    def lend(self, frame: Frame) -> None:
        assert self._frame is None, "one at a time"
        self._frame = frame

    def answer(self, within_s: float) -> Answer | None:
        assert self._frame is not None, "nothing was lent"
        self.looks += 1
        label, before, self._before = self._frame.name, self._before, self._frame.name
        self._frame = None
        new = label != before and label != "background"
        return Answer((self._then(label),) if new and self._then(label) else (), self._cpu_ms)

    def close(self) -> None:
        self.closed = True


class Stage:
    """One succession over a real pocket and a real store, and what was told of it."""

    def __init__(
        self,
        state: Path,
        model: ModelConfig = QUICK,
        *,
        well_s: float = 0.0,
        then: Callable[[str], str] = lambda label: label,
        shadow: Callable[[World], Shadow] = Looker,
        unfit: str = "",
    ) -> None:
        self.world, self.shelf = World(), Shelf(state, lambda: SINCE_S)
        self.engines: list[Engine] = []
        self.told: list[tuple[str, str, str]] = []
        self.compared: list[tuple[str, Tally]] = []
        self.seen: list[int] = []
        self.decisions: list[Decision] = []
        self.shadows: list[Shadow] = []
        self._then, self._make_shadow = then, shadow
        first = bundles.read(app.BUNDLES / "xts")
        engine = Engine(first, self.world)
        engine._left = []
        pocket = Pocket([(first, engine.invoke)], time.perf_counter)
        self.switches: list[str] = []
        self.succession = Succession(
            pocket,
            [(first, engine)],
            {"XTS": (app.BUNDLES / "xts", XTS)},
            self.shelf,
            Terms(model, 1e3 / 15, well_s=well_s, unfit=lambda _bundle: unfit),
            self._open,
            self._shadow,
            switched=lambda _number, bundle: self.switches.append(bundle.manifest.version),
            told=lambda *words: self.told.append(words),
            compared=lambda *shown: self.compared.append(shown),
        )
        self._frames = self.world.frames()
        self.succession.start()

    def _open(self, bundle: Bundle) -> Engine:
        ours = bundle.path.parent == self.shelf.folder
        self.engines.append(Engine(bundle, self.world, self._then if ours else lambda label: label))
        return self.engines[-1]

    def _shadow(self, _folder: Path) -> Shadow:
        self.shadows.append(self._make_shadow(self.world))
        return self.shadows[-1]

    def whats(self) -> list[str]:
        return [what for _, what, _ in self.told]

    def show(self, until: Callable[[], bool], *, in_step: bool = True) -> None:
        """Frames until something has happened, as fast as the thread takes them, or faster than the shadow does."""
        deadline_s, breath = time.monotonic() + PATIENCE_S, threading.Event()
        while not until():
            assert time.monotonic() < deadline_s, (self.told, self.shelf.read())
            self.show_some(1)
            breath.wait(0.001)
            while in_step and (running := self.succession._rehearsal) is not None and not running.idle:
                assert time.monotonic() < deadline_s, (self.told, self.shelf.read())
                breath.wait(0.0005)

    def show_some(self, number: int) -> None:
        for frame in itertools.islice(self._frames, number):
            observation = self.succession.observe(frame)
            self.seen.append(observation.seq)
            self.decisions += self.succession.step(observation)

    def amounts(self) -> list[str]:
        return [one.label for one in self.decisions if one.verdict is Verdict.AMOUNT]

    def expected(self) -> list[str]:
        """What is said by the end of the note now in view, or just gone, if each is said once; that end is awaited."""
        self.show_some(IN_VIEW + AWAY - len(self.seen) % (IN_VIEW + AWAY))
        assert self.seen == list(range(len(self.seen))), "a frame was missed"
        return list(itertools.islice(itertools.cycle(AMOUNTS), len(self.seen) // (IN_VIEW + AWAY)))

    def close(self) -> None:
        self.succession.close()


def put(state: Path, version: str = "0.2.0", make: Callable[[Path, str], Path] = sealed.bundle) -> str:
    """An installed bundle."""
    shelf = Shelf(state)
    with shelf.installing(), shelf.staging() as folder:
        made = make(folder / "b", version)
        return shelf.keep(made, Claim.of(bundles.about(made)))


@pytest.fixture
def stages() -> Iterator[list[Stage]]:
    opened: list[Stage] = []
    yield opened
    for stage in opened:
        stage.close()


def staged(stages: list[Stage], *arguments: object, **more: object) -> Stage:
    stages.append(Stage(*arguments, **more))  # type: ignore[arg-type]
    return stages[-1]


def test_a_good_one_takes_the_place_without_a_missed_frame_or_a_note_said_twice(
    tmp_path: Path, stages: list[Stage]
) -> None:
    entry, stage = put(tmp_path), staged(stages, tmp_path)
    stage.show(lambda: "stays" in stage.whats())
    assert stage.whats() == ["in the shadow", "switched", "stays"]
    assert stage.switches == ["0.2.0"]
    assert stage.seen == list(range(len(stage.seen)))
    expected = stage.expected()
    assert stage.amounts() == expected
    line = stage.shelf.line("XTS")
    assert (line.active, line.trial, line.candidate) == (entry, False, "")


@pytest.mark.parametrize("at", range(1, IN_VIEW, 3))
def test_a_note_in_view_while_they_change_is_said_once(tmp_path: Path, stages: list[Stage], at: int) -> None:
    entry, stage = put(tmp_path), staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=1e6))
    stage.show_some(IN_VIEW + AWAY + at)
    stage.shelf.promote("XTS", entry, XTS)
    wait_for(lambda: stage.succession._seats.due is not None)
    stage.show_some(IN_VIEW + AWAY - at)
    assert stage.switches == ["0.2.0"]
    assert stage.amounts() == ["5", "10"]


def wait_for(true: Callable[[], bool]) -> None:
    deadline_s, breath = time.monotonic() + PATIENCE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline_s
        breath.wait(0.01)


def wrong(label: str) -> str:
    return "500" if label == "5" else label


REFUSED: dict[str, tuple[Callable[[World], Shadow], str]] = {
    "it says other amounts": (lambda world: Looker(world, wrong), "it said another amount"),
    "it says nothing": (lambda world: Looker(world, lambda _label: ""), "it was silent to"),
    "it is slow": (lambda world: Looker(world, cpu_ms=900.0), "a picture takes it 900 ms"),
}


@pytest.mark.parametrize(("shadow", "why"), REFUSED.values(), ids=REFUSED)
def test_one_that_does_not_do_well_in_the_shadow_is_never_heard(
    tmp_path: Path, stages: list[Stage], shadow: Callable[[World], Shadow], why: str
) -> None:
    put(tmp_path)
    stage = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=1e6, shadow_notes=2), shadow=shadow)
    stage.show(lambda: "refused" in stage.whats())
    assert why in stage.told[-1][2]
    stage.show_some(70)
    assert stage.switches == []
    expected = stage.expected()
    assert stage.amounts() == expected
    assert (stage.shelf.line("XTS").candidate, stage.shelf.chosen("XTS", XTS)) == ("", "")
    assert stage.shadows[0].closed  # type: ignore[attr-defined]


def test_one_that_breaks_down_in_the_shadow_is_refused(tmp_path: Path, stages: list[Stage]) -> None:
    class Breaking(Looker):
        def answer(self, within_s: float) -> Answer | None:
            if self.looks == 7:
                raise BundleError("in the shadow it broke down (signal 11)")
            return super().answer(within_s)

    put(tmp_path)
    stage = staged(stages, tmp_path, shadow=Breaking)
    stage.show(lambda: "refused" in stage.whats())
    assert stage.told[-1][2].endswith("(signal 11)")
    assert stage.seen == list(range(len(stage.seen)))


class Starved(Looker):
    """One that gets nothing of the processor until it is `fed`."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.fed, self.waited = False, False

    def answer(self, within_s: float) -> Answer | None:
        if self.fed:
            return super().answer(within_s)
        self.waited = True
        threading.Event().wait(0.001)
        return None


def test_one_that_gets_no_processor_is_waited_for_and_compared_once_it_gets_some(
    tmp_path: Path, stages: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.shadowing.BACKLOG", 64)
    entry, stage = put(tmp_path), staged(stages, tmp_path, shadow=Starved)
    stage.show(lambda: len(stage.seen) > 500 and stage.shadows[0].waited, in_step=False)  # type: ignore[attr-defined]
    assert (stage.whats(), stage.shelf.line("XTS").candidate) == (["in the shadow"], entry)
    stage.shadows[0].fed = True  # type: ignore[attr-defined]
    stage.show(lambda: "switched" in stage.whats())
    assert stage.compared[-1][1].otherwise == stage.compared[-1][1].silent == 0


def test_what_a_person_chooses_is_taken_up_while_the_shadow_gets_no_processor(
    tmp_path: Path, stages: list[Stage]
) -> None:
    entry, stage = put(tmp_path), staged(stages, tmp_path, shadow=Starved)
    stage.show(lambda: bool(stage.shadows) and stage.shadows[0].waited, in_step=False)  # type: ignore[attr-defined]
    stage.shelf.promote("XTS", entry, XTS, "asked for")
    stage.show(lambda: stage.switches == ["0.2.0"], in_step=False)
    assert stage.shadows[0].closed  # type: ignore[attr-defined]


def test_with_no_money_in_view_it_waits_however_long(tmp_path: Path, stages: list[Stage]) -> None:
    entry, stage = put(tmp_path), staged(stages, tmp_path)
    stage._frames = (Frame(number, number / 15, PICTURE) for number in itertools.count())
    stage.show(lambda: len(stage.seen) > 600 and bool(stage.shadows))
    assert stage.whats() == ["in the shadow"]
    assert stage.shelf.line("XTS").candidate == entry


def test_what_the_shadow_has_shown_survives_a_restart(tmp_path: Path, stages: list[Stage]) -> None:
    put(tmp_path)
    first = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=1, shadow_notes=9))
    first.show(lambda: first.shelf.line("XTS").tally.alike >= 4)
    first.close()
    stages.clear()
    shown = first.shelf.line("XTS").tally.alike
    second = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=1, shadow_notes=shown + 1))
    second.show(lambda: "switched" in second.whats())
    assert second.compared[0][1].alike == shown
    assert second.compared[-1][1].alike == shown + 1
    assert f"{shown + 1} notes alike" in second.shelf.read().outcomes[-1].why
    assert {tally.since_wall_s for _, tally in first.compared + second.compared} == {SINCE_S}


def test_one_that_breaks_down_in_use_is_left_for_the_one_before_within_the_same_frame(
    tmp_path: Path, stages: list[Stage]
) -> None:
    looked: list[str] = []

    def breaks(label: str) -> str:
        looked.append(label)
        if len(looked) > 20:
            raise HardwareError("engine", Reason.BROKEN, "the model does not run")
        return label

    put(tmp_path)
    stage = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=0), well_s=1e6, then=breaks)
    stage.show(lambda: "rolled back" in stage.whats())
    assert "the model does not run" in stage.told[-1][2]
    assert stage.switches == ["0.2.0", "0.1.0"]
    stage.show_some(70)
    assert stage.seen == list(range(len(stage.seen)))
    expected = stage.expected()
    assert stage.amounts() == expected
    assert stage.shelf.chosen("XTS", XTS) == ""


def test_one_that_is_slow_in_use_is_left(tmp_path: Path, stages: list[Stage]) -> None:
    def slow(label: str) -> str:
        threading.Event().wait(0.08)
        return label

    entry = put(tmp_path)
    stage = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=1e6), well_s=1e6, then=slow)
    stage.show_some(200)  # by which it is known how long a picture takes the one before
    stage.shelf.promote("XTS", entry, XTS)
    stage.show(lambda: stage.switches == ["0.2.0", "0.1.0"] and "rolled back" in stage.whats())
    assert stage.told[-1][:2] == (entry, "rolled back")
    assert stage.seen == list(range(len(stage.seen)))


def test_what_a_person_chooses_is_taken_up_and_taken_back_while_it_runs(tmp_path: Path, stages: list[Stage]) -> None:
    entry, stage = put(tmp_path), staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=1e6))
    stage.show(lambda: "in the shadow" in stage.whats())
    stage.shelf.promote("XTS", entry, XTS, "asked for")
    stage.show(lambda: stage.switches == ["0.2.0"])
    stage.shelf.roll_back("XTS", "asked for")
    stage.show(lambda: stage.switches == ["0.2.0", "0.1.0"])
    assert stage.shadows[0].closed  # type: ignore[attr-defined]


def test_one_of_other_labels_is_used_from_the_next_start_on(tmp_path: Path, stages: list[Stage]) -> None:
    entry = put(tmp_path, "0.2.0", sealed.contrary)
    stage = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=0))
    stage.show(lambda: "switched" in stage.whats() and bool(stage.engines))
    stage.show_some(70)
    assert stage.switches == []
    assert stage.shelf.begin("XTS", XTS) == entry


def test_one_that_this_device_cannot_use_is_left(tmp_path: Path, stages: list[Stage]) -> None:
    put(tmp_path)
    stage = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=0), unfit="it has other amounts")
    stage.show(lambda: "rolled back" in stage.whats())
    assert stage.told[-1][2] == "it has other amounts"


def test_what_cannot_be_written_down_is_not_switched(
    tmp_path: Path, stages: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def full(*_: object, **__: object) -> None:
        tried.set()
        raise OSError(28, "No space left on device")

    put(tmp_path)
    monkeypatch.setattr("edge.core.whole.write", full)
    stage = staged(stages, tmp_path, ModelConfig(bundle="xts", shadow_s=0))
    stage.show(tried.is_set)
    stage.show_some(70)
    assert stage.switches == []
    expected = stage.expected()
    assert stage.amounts() == expected
