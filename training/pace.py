"""Owns what limits a training on this computer: composing samples, or the step that learns from them.

Both are measured alone and together, in CPU time as well, which hardly minds what else the computer does. It changes no
file but those of a run that nobody keeps.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from training.learn.prepare import Prepared
from training.learn.settings import FitSettings
from training.learn.supply import Batch, Supply
from training.synth.compose import Composer
from training.synth.recipe import Recipe

WARM_UP = 3  # steps: the first ones compile
ENOUGH = 0.1  # of a step's time spent waiting for samples: below it the step is the limit

Batches = Callable[[int], Iterator[Batch]]


@dataclass(frozen=True)
class Pace:
    """Milliseconds are of one sample."""

    workers: int  # processes that composed
    compose_cpu_ms: float
    step_cpu_ms: float  # of all threads
    step_ms: float  # with samples that were ready
    together_ms: float  # with samples as they came
    waited: float  # share of that time in which the step waited for samples

    @property
    def samples_per_s(self) -> float:
        """In a training."""
        return 1e3 / self.together_ms

    @property
    def limit(self) -> str:
        """What a faster training would need first."""
        return "learning" if self.waited <= ENOUGH else "composing"


class Watch:
    """Stands between samples and step: how long the step waited for each batch, and how long it took with it."""

    def __init__(self, timer_s: Callable[[], float] = time.perf_counter) -> None:
        self._timer_s = timer_s
        self.waited_s: list[float] = []
        self.took_s: list[float] = []
        self.cpu_s: list[float] = []

    def over(self, batches: Batches) -> Batches:
        """The same batches."""

        def watched(first: int) -> Iterator[Batch]:
            given = batches(first)
            while True:
                asked_s = self._timer_s()
                batch = next(given)
                begun_s, cpu_s = self._timer_s(), time.process_time()
                yield batch
                self.waited_s.append(begun_s - asked_s)
                self.took_s.append(self._timer_s() - begun_s)
                self.cpu_s.append(time.process_time() - cpu_s)

        return watched


def measure(
    prepared: Prepared,
    settings: FitSettings,
    steps: int,
    *,
    recipe: Recipe | None = None,
    workers: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Pace:
    """Train all layers of a network with random weights for `steps` steps, as they come and then with ready samples."""
    composer = Composer(prepared.material, prepared.labels, settings.size, settings.seed, recipe or Recipe())
    chosen = replace(settings, head_steps=0, steps=steps + WARM_UP)
    together, alone = Watch(), Watch()
    say("composing and learning")
    with Supply(composer, settings.batch, workers=workers) as supply:
        _fit(chosen, len(prepared.labels), together.over(supply.batches))
        composing = supply.workers
    say("composing")
    begun_s = time.process_time()
    ready = [composer.batch(number * settings.batch, settings.batch) for number in range(WARM_UP + 1)]
    compose_s = (time.process_time() - begun_s) / len(ready)
    say("learning")
    _fit(chosen, len(prepared.labels), alone.over(lambda first: itertools.cycle(ready)))
    return pace_of(settings.batch, composing, compose_s, together, alone)


def pace_of(batch: int, workers: int, compose_s: float, together: Watch, alone: Watch) -> Pace:
    """The figures of two runs, whose first steps do not count; `compose_s`: CPU seconds of a batch."""

    def middle_ms(seconds: list[float]) -> float:
        return statistics.median(seconds[WARM_UP:]) * 1e3 / batch

    waited_s, took_s = sum(together.waited_s[WARM_UP:]), sum(together.took_s[WARM_UP:])
    return Pace(
        workers=workers,
        compose_cpu_ms=compose_s * 1e3 / batch,
        step_cpu_ms=middle_ms(alone.cpu_s),
        step_ms=middle_ms(alone.took_s),
        together_ms=(waited_s + took_s) * 1e3 / (batch * len(together.took_s[WARM_UP:])),
        waited=waited_s / (waited_s + took_s),
    )


def _fit(settings: FitSettings, labels: int, batches: Batches) -> None:
    from training.learn.fit import fit  # Keras: not before the supply's processes were forked

    with tempfile.TemporaryDirectory(prefix="saynote-pace-") as folder:
        fit(settings, labels, None, batches, Path(folder))
