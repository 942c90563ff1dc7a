"""Owns the speed figures: each stage, the whole over the bare inference, from decision to sound, and the start."""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np

from edge import app
from edge.commands.shell import add_bundle, configured, put
from edge.core import preprocess, scene
from edge.core.bundle import SELFTEST, Bundle
from edge.core.decide import Decider
from edge.core.errors import EXIT_OK, BundleError, HardwareError, Reason
from edge.core.gestures import Timings
from edge.core.messages import Decision, Edge, Frame, Look, Pixels, Verdict
from edge.core.observe import Observer
from edge.core.speech import Speech
from edge.devices import open_engine, open_synth
from edge.drivers.audio import LATENCY_S, AudioSpeaker
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeCard
from edge.outlets.announcer import Announcer
from edge.outlets.phrases import Phrases
from edge.ports import Engine, Synth
from edge.settings import VoiceConfig

CAMERA_SIZE = (480, 640)  # the default camera's height and width
PLACES = 8  # of what moves
SILENT_AFTER_S = 10.0  # no sound for so long: something is broken
INSTANT = Timings(debounce_s=0.001, double_within_s=0.001, long_after_s=0.002, very_long_after_s=4.0)
STARTS = 3  # with everything kept on disk; one before them has to render the phrases
PATIENCE_S = 60.0
READY = re.compile(r"ready after \d+ ms: (.*)")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_bundle(parser)
    parser.add_argument("--frames", type=_count, default=300)
    parser.add_argument("--start", action="store_true", help="how long the start takes, instead")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Measure here and now."""
    if options.start:
        given = [("--config", options.config), *(("--bundle", name) for name in options.bundle or ())]
        for line in measure_starts([word for key, value in given if value for word in (key, str(value))]):
            put(line)
        return EXIT_OK
    config = configured(options)
    loaded = app.load(config, lambda bundle: open_engine(config, bundle))
    for bundle, engine in loaded:
        if len(loaded) > 1:  # each frame is looked at by one of them
            put(f"{bundle.manifest.name} {bundle.manifest.version}")
        for line in measure(bundle, engine, options.frames):
            put(line)
    bundle = loaded[0][0]
    for line in measure_sound(bundle, open_synth(config.voice), config.voice, times=40):
        put(line)
    return EXIT_OK


def measure(bundle: Bundle, engine: Engine, frames: int) -> Iterator[str]:
    """Lines with medians over `frames` frames; bare and whole take turns, so that a slow moment hits both."""
    observer = Observer(bundle, engine.invoke, time.perf_counter)
    decider = Decider(bundle.labels, bundle.manifest.decision)
    pictures = _pictures(bundle)
    tensor = preprocess.to_tensor(pictures[0], bundle.manifest.input)
    stages: dict[str, list[float]] = {}
    bare, whole = [], []
    for number in range(frames + 20):
        started = time.perf_counter()
        engine.invoke(tensor)
        between = time.perf_counter()
        observation = observer.observe(Frame(number, number / 15, pictures[number % PLACES]))
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


def _pictures(bundle: Bundle) -> list[Pixels]:
    """The first self-test picture that the scene gate lets pass, in the camera's size and moving: no frame of it rests."""
    for drawn in bundle.selftest_pictures:
        rows = np.linspace(0, drawn.shape[0] - 1, CAMERA_SIZE[0]).astype(int)
        columns = np.linspace(0, drawn.shape[1] - 1, CAMERA_SIZE[1]).astype(int)
        pixels = np.ascontiguousarray(drawn[rows][:, columns])
        if scene.assess(pixels).look is Look.CLEAR:
            return [np.roll(pixels, step, axis=1) for step in range(0, CAMERA_SIZE[1], CAMERA_SIZE[1] // PLACES)]
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


def measure_starts(arguments: list[str]) -> Iterator[str]:
    """Start the demonstration again and again; lines with seconds to the first word and milliseconds by stage.

    Raises HardwareError where it does not come to speak.
    """
    with tempfile.TemporaryDirectory(prefix="saynote-start-") as scratch:
        first_s, stages = _start(Path(scratch), arguments)
        yield f"{'first start':12} {first_s:8.2f} s to the first word, phrases rendered  ({stages})"
        found = [_start(Path(scratch), arguments) for _ in range(STARTS)]
        median_s, stages = sorted(found)[len(found) // 2]
        yield f"{'next starts':12} {median_s:8.2f} s to the first word, median of {STARTS}  ({stages})"


def _start(scratch: Path, arguments: list[str]) -> tuple[float, str]:
    """Seconds from the process's start to its first word, and its own account of the stages, in milliseconds."""
    command = [sys.executable, "-m", "edge", "run", "--camera", "replay", "--view", "--wav", str(scratch / "said.wav")]
    environment = {**os.environ, "XDG_STATE_HOME": str(scratch), "STATE_DIRECTORY": "", "PYTHONUNBUFFERED": "1"}
    with (scratch / "log").open("w+", encoding="utf-8") as log:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [*command, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            spoke = any(line.startswith("spoken") for line in process.stdout)
            took_s = time.perf_counter() - began_s
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
        log.seek(0)
        written = log.read()
    if not spoke:
        last = (written.strip().splitlines() or ["it said nothing"])[-1]
        raise HardwareError("speech", Reason.STOPPED, f"the start did not come to the first word: {last}")
    stages = READY.search(written)
    return took_s, f"{stages.group(1)} ms" if stages else ""
