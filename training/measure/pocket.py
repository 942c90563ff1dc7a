"""Owns the figures of several bundles in one pocket: which currency and which amount a device with all of them says.

Each picture is held before the device as in stills.py. The
pictures are of the first bundle's currency; what that one does not know counts as background.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core import photograph, picture
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.errors import PictureError
from edge.core.messages import Decision, Pixels, Verdict
from edge.core.observe import Invoke
from training import spread
from training.errors import TrainingError
from training.measure.device import running


@dataclass
class Said:
    """What was said to the pictures."""

    notes: int = 0
    right: int = 0
    wrong_amount: int = 0  # of the right currency
    wrong_currency: int = 0
    background: int = 0
    false: int = 0  # an amount, to a picture without these notes
    broken: tuple[str, ...] = ()  # pictures that could not be read, each with the reason
    mistakes: tuple[str, ...] = ()  # a line for each amount that is not right


def score(
    bundles: Sequence[Bundle],
    pictures: Sequence[tuple[Path, str]],
    tick: Callable[[int, int], None] = lambda i, n: None,
    workers: int = 1,
) -> Said:
    """Show `pictures`, each with its truth, to a pocket of `bundles`. Raises BundleError, TrainingError."""
    found = Said()
    currencies = [bundle.manifest.currency for bundle in bundles]
    if len(set(currencies)) < len(currencies):
        raise TrainingError(f"two of these bundles are of one currency: {', '.join(currencies)}")
    answers = spread.each(lambda: _asked(bundles), [path for path, _ in pictures], workers)
    for number, ((path, truth), answer) in enumerate(zip(pictures, answers, strict=True)):
        tick(number + 1, len(pictures))
        if isinstance(answer, str):
            found.broken += (answer,)
        else:
            _count(found, answer, path, truth, currencies[0])
    if not found.notes + found.background:
        raise TrainingError(f"there is no picture that can be opened among the {len(pictures)} to score on")
    return found


@contextlib.contextmanager
def _asked(bundles: Sequence[Bundle]) -> Iterator[Callable[[Path], Decision | str | None]]:
    """Gives the first amount said to a picture, or why it cannot be read."""
    with contextlib.ExitStack() as closing:
        readers = [(bundle, closing.enter_context(running(bundle))) for bundle in bundles]

        def ask(path: Path) -> Decision | str | None:
            try:
                return announced(readers, picture.read(path).pixels)
            except PictureError as error:
                return str(error)

        yield ask


def announced(readers: Sequence[tuple[Bundle, Invoke]], pixels: Pixels) -> Decision | None:
    """The first amount said to this picture."""
    decisions = photograph.hold(readers, pixels).decisions
    return next((decision for decision in decisions if decision.verdict is Verdict.AMOUNT), None)


def _count(found: Said, said: Decision | None, path: Path, truth: str, currency: str) -> None:
    note = truth != BACKGROUND
    found.notes += note
    found.background += not note
    if said is None:
        return
    if note and (said.currency, said.label) == (currency, truth):
        found.right += 1
        return
    found.mistakes += (f"{path}: {truth}, said as {said.label} {said.currency} ({said.confidence:.3f})",)
    found.false += not note
    found.wrong_amount += note and said.currency == currency
    found.wrong_currency += note and said.currency != currency
