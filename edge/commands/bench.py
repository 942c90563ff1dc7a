"""Owns the speed figures: a frame beside the bare inference, from decision to sound, the start and the memory.

They are printed as a table, as JSON, or written into a page between its two marks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge import __version__, folders, selection, tuning
from edge import process as of_process
from edge.commands.measurement import Figures, frames, spread
from edge.commands.shell import add_bundle, configured, loader, put
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import EXIT_OK, ConfigError, HardwareError, Reason
from edge.core.gestures import Timings
from edge.core.messages import Decision, Edge, Verdict
from edge.core.speech import Speech
from edge.devices import open_engine, open_synth
from edge.drivers.audio import LATENCY_S, AudioSpeaker
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeCard
from edge.outlets.announcer import Announcer
from edge.outlets.phrases import Phrases
from edge.ports import Synth
from edge.settings import VoiceConfig
from edge.startup import settle

SILENT_AFTER_S = 10.0  # no sound for so long: something is broken
INSTANT = Timings(debounce_s=0.001, double_within_s=0.001, long_after_s=0.002, very_long_after_s=4.0)
STARTS = 3  # with everything kept on disk; one before them has to render the phrases
PATIENCE_S = 60.0
STILL_S = 4.0  # without growing: it holds all that it will
GROWS_BYTES = 200_000
READY = re.compile(r"ready after \d+ ms: (.*)")
BEGIN, END = "<!-- measured: make bench -->", "<!-- end of what was measured -->"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_bundle(parser)
    parser.add_argument("--frames", type=_count, default=300)
    parser.add_argument("--start", action="store_true", help="how long the start takes, too")
    parser.add_argument(
        "--choose",
        nargs="?",
        const="always",
        choices=["always", "once"],
        help="which runtime and how many threads are fastest here; starts use them. once: unless that is known",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, on one line")
    parser.add_argument("--page", type=Path, help=f"write the table into this file, between {BEGIN} and {END}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Measure here and now."""
    if options.choose:
        from edge.commands import choosing

        return choosing.run(configured(options), once=options.choose == "once")
    found = measure(options)
    if options.page:
        write(options.page, list(table(found)))
    if options.json:
        put(json.dumps(found))
    else:
        for line in table(found):
            put(line)
    return EXIT_OK


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as they stand in the JSON."""
    config = configured(options)
    config = tuning.applied(config, folders.device_state(), selection.digests(config))
    loaded = loader(options)(config, lambda bundle: open_engine(config, bundle))
    found: dict[str, Any] = {"saynote": __version__, "machine": machine(), "threads": config.model.threads}
    found["runtime"] = getattr(loaded[0][1], "runtime", "unknown")
    found["bundles"] = {}
    settle()  # as after a start: no frame waits for a look through what stays
    for bundle, engine in loaded:
        whole = bundles.read(bundle.path)  # with the pictures of its self-test
        found["bundles"][f"{bundle.manifest.name} {bundle.manifest.version}"] = frames(whole, engine, options.frames)
        engine.close()
    found["sound"] = measure_sound(loaded[0][0], open_synth(config.voice), config.voice, times=40)
    found["sound"]["card's own buffer"] = {"most": LATENCY_S * 1e3}
    if options.start:
        given = [("--config", options.config), *(("--bundle", name) for name in config.model.bundles)]
        found["start"] = measure_starts([word for key, value in given if value for word in (key, str(value))])
    return found


def machine() -> dict[str, str | int]:
    """What it was measured on, and with."""
    model = ""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        names = re.findall(r"^(?:Model|model name)\s*:\s*(.+)$", told, re.MULTILINE)
        model = names[-1] if names else ""
    except OSError:
        pass
    return {
        "processor": model or platform.processor() or platform.machine(),
        "kind": platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def table(found: dict[str, Any]) -> Iterator[str]:
    """The figures as Markdown, which is read in a terminal as well."""
    about = found["machine"]
    yield f"saynote {found['saynote']}, {found['runtime']}, {found['threads']} threads"
    yield (
        f"{about['processor']}, {about['cores']} cores, {about['kind']}; Python {about['python']}, "
        f"numpy {about['numpy']}, OpenCV {about['opencv']}"
    )
    for name, figures in found["bundles"].items():
        yield from _frames_table(name, figures)
    yield from ("", "| to the first sample, ms | median | 95 % | worst |", "|---|--:|--:|--:|")
    for what, ms in found["sound"].items():
        yield f"| {what} | {ms.get('p50', ms.get('most', 0)):.1f} | {ms.get('p95', 0):.1f} | {ms.get('worst', 0):.1f} |"
    if "start" in found:
        yield from (
            "",
            "| start | seconds to the first word | CPU s | resident MB later | of it its own | ms by stage |",
            "|---|--:|--:|--:|--:|---|",
        )
        for what, start in found["start"].items():
            figures = f"{start['s']:.2f} | {start['cpu_s']:.2f} | {start['mb']:.0f} | {start['own_mb']:.0f}"
            yield f"| {what} | {figures} | {start['stages']} |"


def _frames_table(name: str, figures: dict[str, Figures]) -> Iterator[str]:
    yield from ("", f"| a frame of 640 x 480 with {name}, ms | p50 | p95 | p99 |", "|---|--:|--:|--:|")
    for what, ms in figures.items():
        if "p50" in ms:
            yield f"| {what} | {ms['p50']:.3f} | {ms['p95']:.3f} | {ms['p99']:.3f} |"
    yield from ("", "| CPU time of all threads | ms |", "|---|--:|")
    yield from (f"| {what} | {ms:.3f} |" for what, ms in figures["cpu"].items())
    yield from ("", "| ratio, in this run | |", "|---|--:|")
    yield from (f"| {what} | {value:.3f} |" for what, value in figures["ratios"].items())


def write(page: Path, lines: list[str]) -> None:
    """Put the lines between the marks of a page, and leave the rest. Raises ConfigError where it has none."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{page} cannot be read: {error}"]) from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigError([f"{page} has no place for figures: {BEGIN} and {END}"])
    page.write_text("\n".join([before + BEGIN, *lines, END + after]), encoding="utf-8")


def measure_sound(bundle: Bundle, synth: Synth, voice: VoiceConfig, times: int) -> dict[str, Figures]:
    """The milliseconds to the first sample that can be heard, from a decision and from a press.

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
    return {"decision to sound": _worst(decisions), "press to total": _worst(presses)}


def _worst(values: list[float]) -> Figures:
    return {**spread(values), "worst": max(values)}


def _until_loud(card: FakeCard, speaker: AudioSpeaker, act: Callable[[], None]) -> float:
    """Milliseconds from `act` to the first loud sample; silence before and after."""
    speaker.stop()
    card.listen()
    started = time.perf_counter()
    act()
    if not card.loud.wait(SILENT_AFTER_S):
        raise HardwareError("speaker", Reason.STOPPED, f"nothing was heard within {SILENT_AFTER_S:.0f} s")
    return (card.loud_s - started) * 1e3


def measure_starts(arguments: list[str]) -> dict[str, dict[str, Any]]:
    """Start the demonstration again and again: seconds and CPU seconds to the first word; the MB that it comes to hold.

    Raises HardwareError where it does not come to speak.
    """
    with tempfile.TemporaryDirectory(prefix="saynote-start-") as scratch:
        compiled, state = Path(scratch), Path(scratch) / "state"
        (compiled / "another").mkdir()
        state.mkdir()
        _start(compiled / "another", compiled, arguments)  # an installed saynote has its modules compiled
        first = _start(state, compiled, arguments)
        found = sorted((_start(state, compiled, arguments) for _ in range(STARTS)), key=lambda start: start["s"])
    return {"the very first": first, f"the next, median of {STARTS}": found[len(found) // 2]}


def _start(scratch: Path, compiled: Path, arguments: list[str]) -> dict[str, Any]:
    """What one start took, with its state in `scratch`, and its own account of the stages, in milliseconds."""
    command = [sys.executable, "-m", "edge", "run", "--camera", "replay", "--view", "--wav", str(scratch / "said.wav")]
    environment = {**os.environ, "XDG_STATE_HOME": str(scratch), "STATE_DIRECTORY": "", "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONPYCACHEPREFIX": str(compiled), "PYTHONDONTWRITEBYTECODE": ""}
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
            took_s, cpu_s = time.perf_counter() - began_s, of_process.cpu_s(process.pid)
            threading.Thread(target=process.stdout.read, daemon=True).start()  # else it would wait for us
            resident, own = _come_to(process.pid) if spoke else (0, 0)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
        log.seek(0)
        written = log.read()
    if not spoke:
        last = (written.strip().splitlines() or ["it said nothing"])[-1]
        raise HardwareError("speech", Reason.STOPPED, f"the start did not come to the first word: {last}")
    stages = READY.search(written)
    memory = {"mb": resident / 1e6, "own_mb": own / 1e6}
    return {"s": took_s, "cpu_s": cpu_s, **memory, "stages": stages.group(1) if stages else ""}


def _come_to(pid: int) -> tuple[int, int]:
    """The bytes resident of a process, and its own among them, once they grow no more: with all phrases, notes read."""
    most, until_s = 0, time.monotonic() + PATIENCE_S
    still_s = time.monotonic() + STILL_S
    while time.monotonic() < min(still_s, until_s):
        time.sleep(0.1)
        if (now := of_process.resident_bytes(pid)) > most + GROWS_BYTES:
            most, still_s = now, time.monotonic() + STILL_S
    return of_process.resident_bytes(pid), of_process.own_bytes(pid)
