"""Devices made of the shipped fakes, for tests that put the whole daemon, or much of it, together."""

from __future__ import annotations

from edge.core.bundle import Bundle
from edge.devices import Parts
from edge.drivers.fake import (
    FakeBoard,
    FakeBroker,
    FakeCamera,
    FakeClock,
    FakeEngine,
    FakeSpeaker,
    FakeSupervisor,
    FakeSynth,
)


def fake_engine(bundle: Bundle, *then: object) -> FakeEngine:
    """Answers the self-test as the trainer did, and after that `then`, one output or exception a picture."""
    selftest = [[list(row), [0.5] * 5] for row in bundle.selftest_logits]
    size = bundle.manifest.input
    return FakeEngine([*selftest, *then], (1, size.height, size.width, 3))


def fake_parts(**changes: object) -> Parts:
    """Every device that a daemon must have, with `changes` by name: a camera without pictures, no button."""
    clock = changes.get("clock") or FakeClock()
    values: dict[str, object] = {
        "camera": lambda: FakeCamera([]),
        "engine": fake_engine,
        "synth": FakeSynth,
        "speaker": lambda: FakeSpeaker(clock),
        "button": None,
        "broker": lambda topics: FakeBroker(),
        "clock": clock,
        "supervisor": FakeSupervisor(),
        "board": FakeBoard(),
    }
    return Parts(**(values | changes))  # type: ignore[arg-type]
