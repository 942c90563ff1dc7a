"""Owns the device as measuring sees it: a bundle's model after its self-test, and the device's own stages in a row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.decide import Decider
from edge.core.guide import Guide
from edge.core.messages import Decision, Frame, Hint, Observation, Verdict
from edge.core.observe import Invoke, Observer
from edge.drivers.tflite import TfliteEngine


@contextlib.contextmanager
def running(bundle: Bundle) -> Iterator[Invoke]:
    """The bundle's model on one thread of the device's own driver, after its self-test. Raises BundleError."""
    with contextlib.closing(TfliteEngine(bundle.model, threads=1)) as engine:
        bundles.selftest(bundle, engine.invoke)
        yield engine.invoke


class Watcher:
    """A device that has just been switched on, without camera and outlets: it sees frames and says what it would say.

    It remembers what the device's stages remember (whose turn it is, what was in view, what was said): what is measured
    apart needs a new one each.
    """

    def __init__(self, bundle: Bundle, invoke: Invoke) -> None:
        spec = bundle.manifest.decision
        self._observer = Observer(bundle, invoke, lambda: 0.0)  # nobody asks here how long a stage takes
        self._decider = Decider(bundle.labels, spec)
        self._guide = Guide(bundle.labels, visible_known=spec.visible_known)
        self.hints: list[Hint] = []  # all that were said, in order

    def see(self, frame: Frame) -> list[Decision]:
        """What is decided on the next frame."""
        return self.decide(self.observe(frame))

    def observe(self, frame: Frame) -> Observation:
        """One look at a frame: the first half of `see`, for those who show one look again and again."""
        return self._observer.observe(frame)

    def decide(self, observation: Observation) -> list[Decision]:
        """What one more observation changes: the second half of `see`."""
        decisions = self._decider.step(observation)
        if guidance := self._guide.step(observation, decisions):
            self.hints.append(guidance.hint)
        return decisions


def amounts(decisions: Iterable[Decision]) -> list[str]:
    """The amounts among them, in order."""
    return [decision.label for decision in decisions if decision.verdict is Verdict.AMOUNT]
