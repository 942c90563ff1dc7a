"""Owns the speed figures: milliseconds per stage, the whole over the bare inference, and from decision to sound."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import numpy as np

from edge.config import VoiceConfig
from edge.core import preprocess, scene
from edge.core.bundle import SELFTEST, Bundle
from edge.core.decide import Decider
from edge.core.errors import BundleError, HardwareError, Reason
from edge.core.gestures import Timings
from edge.core.messages import Decision, Edge, Frame, Look, Pixels, Verdict
from edge.core.observe import Observer
from edge.core.speech import Speech
from edge.drivers.audio import LATENCY_S, AudioSpeaker
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeCard
from edge.outlets.announcer import Announcer
from edge.outlets.phrases import Phrases
from edge.ports import Engine, Synth

CAMERA_SIZE = (480, 640)  # the default camera's height and width
SILENT_AFTER_S = 10.0  # no sound for so long: something is broken
INSTANT = Timings(debounce_s=0.001, double_within_s=0.001, long_after_s=0.002, very_long_after_s=4.0)


def measure(bundle: Bundle, engine: Engine, frames: int) -> Iterator[str]:
    """Lines with medians over `frames` frames; bare and whole take turns, so that a slow moment hits both."""
    observer = Observer(bundle, engine.invoke, time.perf_counter)
    decider = Decider(bundle.labels, bundle.manifest.decision)
    pixels = _picture(bundle)
    tensor = preprocess.to_tensor(pixels, bundle.manifest.input)
    stages: dict[str, list[float]] = {}
    bare, whole = [], []
    for number in range(frames + 20):
        started = time.perf_counter()
        engine.invoke(tensor)
        between = time.perf_counter()
        observation = observer.observe(Frame(number, number / 15, pixels))
        looked = time.perf_counter()
        decider.step(observation)
        ended = time.perf_counter()
        if number < 20:  # caches warm up
            continue
        bare.append((between - started) * 1e3)
        whole.append((ended - between) * 1e3)
        for stage, ms in {**observation.ms, "decide": (ended - looked) * 1e3}.items():
            stages.setdefault(stage, []).append(ms)
    for stage, values in stages.items():
        yield f"{stage:12} {statistics.median(values):8.3f} ms"
    ratio = statistics.median(w / b for w, b in zip(whole, bare, strict=True))
    yield f"{'whole frame':12} {statistics.median(whole):8.3f} ms"
    yield f"{'bare invoke':12} {statistics.median(bare):8.3f} ms"
    yield f"{'ratio':12} {ratio:8.3f} (median of whole over bare, pair by pair, {frames} frames)"


def _picture(bundle: Bundle) -> Pixels:
    """The first self-test picture that the scene gate lets pass, enlarged to the camera's size."""
    for drawn in bundle.selftest_pictures:
        rows = np.linspace(0, drawn.shape[0] - 1, CAMERA_SIZE[0]).astype(int)
        columns = np.linspace(0, drawn.shape[1] - 1, CAMERA_SIZE[1]).astype(int)
        pixels: Pixels = np.ascontiguousarray(drawn[rows][:, columns])
        if scene.assess(pixels).look is Look.CLEAR:
            return pixels
    raise BundleError(f"{bundle.path}: {SELFTEST} holds no picture that the scene gate lets pass")


def measure_sound(bundle: Bundle, synth: Synth, voice: VoiceConfig, times: int) -> Iterator[str]:
    """Lines with the milliseconds to the first sample that can be heard, from a decision and from a press.

    Announcer, phrases and speaker are the device's own; the card is a simulated one that asks for samples as a
    real one does. What lies in a real card's buffer comes on top.
    """
    clock, card = SystemClock(), FakeCard()
    speech = Speech(voice.language, bundle.manifest.currency)
    phrases = Phrases(synth, voice.language, "bench")
    phrases.prepare(speech.amount(label) for label in bundle.denominations)
    speaker = AudioSpeaker(voice, backend=card)
    announcer = Announcer(speech, phrases, lambda: speaker, clock, INSTANT)
    phrases.start()
    announcer.start()
    decisions, presses = [], []

    labels = [bundle.denominations[number % len(bundle.denominations)] for number in range(times)]

    def decide(number: int) -> None:
        label = labels[number]
        announcer.offer(Decision(Verdict.AMOUNT, number, 0.0, number, label, 1.0, 3))

    def press(number: int) -> None:
        now = clock.now_s()
        announcer.offer(Edge(True, now - 0.006))
        announcer.offer(Edge(False, now - 0.002))

    try:
        for number in range(times):
            decisions.append(_until_loud(card, speaker, lambda: decide(number)))  # noqa: B023 -- called at once
            # The device has the 0.8 s of a long press for this.
            phrases.sound(speech.total(sum(map(Decimal, labels[: number + 1]), Decimal(0)), number + 1))
            presses.append(_until_loud(card, speaker, lambda: press(number)))  # noqa: B023
    finally:
        announcer.close()
        phrases.close()
    note = f"(median; worst of {times} {{:.1f}}; the card's own buffer adds {LATENCY_S * 1e3:.0f})"
    yield f"{'decision to sound':20} {statistics.median(decisions):5.1f} ms {note.format(max(decisions))}"
    yield f"{'press to total':20} {statistics.median(presses):5.1f} ms {note.format(max(presses))}"


def _until_loud(card: FakeCard, speaker: AudioSpeaker, act: Callable[[], None]) -> float:
    """Milliseconds from `act` to the first loud sample; silence before and after."""
    speaker.stop()
    card.listen()
    started = time.perf_counter()
    act()
    if not card.loud.wait(SILENT_AFTER_S):
        raise HardwareError("speaker", Reason.STOPPED, f"nothing was heard within {SILENT_AFTER_S:.0f} s")
    return (card.loud_s - started) * 1e3
