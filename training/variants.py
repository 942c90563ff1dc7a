"""Owns the file of a sweep: which trainings it lists, and which of them cannot be meant."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import msgspec

from training.errors import TrainingError
from training.learn.settings import TRUNKS, USUAL, FitSettings, Only
from training.synth.recipe import GENTLE, Recipe

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training of a sweep; what is named like an option of `train` is what that is."""

    name: Annotated[str, msgspec.Meta(pattern=r"^\w[^/\\]*$")]
    trunk: str = USUAL.trunk
    width: float = USUAL.width
    size: Positive = USUAL.size
    steps: Positive = USUAL.steps
    head_steps: NotNegative = USUAL.head_steps
    last_layers: NotNegative | None = USUAL.last_layers
    batch: Positive = USUAL.batch
    learning_rate: float = USUAL.learning_rate
    seed: NotNegative = USUAL.seed
    weights: str | None = None  # a file of ImageNet weights; none or empty: random ones
    start_from: str | None = None  # a run's model.keras
    without: tuple[str, ...] = ()
    only: str | None = None  # a value of Only
    gentle: bool = False  # samples as an app's photographs: large, upright, hardly changed
    hold_out_source: str | None = None
    workers: Positive | None = None  # that compose its samples, where it shall be more or less than for others

    @property
    def recipe(self) -> Recipe:
        """Of its samples."""
        return (GENTLE if self.gentle else Recipe()).without(*self.without)

    @property
    def settings(self) -> FitSettings:
        """Of its training."""
        shared = {field.name for field in fields(FitSettings)} & set(self.__struct_fields__)
        return FitSettings(**{name: getattr(self, name) for name in shared})

    def samples(self) -> tuple[Any, ...]:
        """What its samples depend on, but for their size."""
        return self.hold_out_source, self.only, frozenset(self.without), self.gentle, self.batch, self.seed


def read(path: Path, files: Path | None = None, pick: Sequence[str] | None = None) -> list[Variant]:
    """The trainings in a TOML file: tables `variant`, and one `all` of what they have in common.

    Weights it names lie in the folder `files`, or beside it. `pick`: names of those that are wanted; all where there
    are none. Raises TrainingError.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        common = raw.pop("all", {})
        rows = [{**common, **row} for row in raw.pop("variant", [])]
        variants = [msgspec.convert(row, Variant) for row in rows]
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} is not a list of trainings: {error}") from error
    names = [variant.name for variant in variants]
    if raw or not names or len(set(names)) < len(names):
        raise TrainingError(f"{path} needs tables `variant`, each with a name of its own, and one `all` at most")
    for variant in variants:
        _ = variant.recipe  # names an unknown family before anything is read
        if variant.trunk not in TRUNKS:
            raise TrainingError(f"{path}: {variant.name} has an unknown trunk {variant.trunk}: {', '.join(TRUNKS)}")
        if variant.only not in (None, *(only.value for only in Only)):
            raise TrainingError(f"{path}: {variant.name} is only of {variant.only}: it is cut-outs or photographs")
    if unknown := set(pick or ()) - set(names):
        raise TrainingError(f"{path} has no training called {', '.join(sorted(unknown))}")
    return [_found(variant, files or path.parent) for variant in variants if not pick or variant.name in pick]


def _found(variant: Variant, folder: Path) -> Variant:
    """With whole paths. Raises TrainingError for a file that is not there."""
    named = {key: folder / name for key in ("weights", "start_from") if (name := getattr(variant, key))}
    for path in named.values():
        if not path.is_file():
            raise TrainingError(f"{variant.name} begins with {path}: there is no such file")
    return msgspec.structs.replace(variant, **{key: str(path) for key, path in named.items()})
