"""Owns what the commands that show films are asked, once for all of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from training.cli.options import Background, Data, HeldOut, HoldOutSource, Seed, Series, Shared
from training.learn.settings import USUAL
from training.measure.stories import Plan

SHOWN = Plan()  # what films show unless something else is asked for


@dataclass(frozen=True)
class Films:
    """Which photographs become films, and which films."""

    data: Data
    background: Background = None
    several: Annotated[Path | None, typer.Option(help="Folder of photographs with several notes in view.")] = None
    held_out: HeldOut = False
    hold_out_source: HoldOutSource = None
    series: Series = None
    notes: Annotated[int, typer.Option(min=0, help="Most notes to show, evenly of each amount; 0: all.")] = SHOWN.notes
    seconds: Annotated[float, typer.Option(min=1.0, max=30.0, help="How long a note is in view.")] = SHOWN.seconds
    empty_frames: Annotated[int, typer.Option(min=0, help="Frames without a note.")] = SHOWN.empty_frames
    scenes: Annotated[int, typer.Option(min=0, help="Scenes of each kind with more than one note.")] = SHOWN.scenes
    frames_per_s: Annotated[int, typer.Option(min=1, max=120, help="Frames a second.")] = SHOWN.frames_per_s
    seed: Seed = USUAL.seed
    workers: Shared = 1

    @property
    def plan(self) -> Plan:
        """How much is shown."""
        return Plan(self.seed, self.seconds, self.notes, self.empty_frames, self.scenes, self.frames_per_s)


def with_films(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every field of the Films that it takes as `asked`."""
    hints = get_type_hints(Films, include_extras=True)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(Films)
    ]

    @functools.wraps(command)
    def asked(**given: Any) -> None:
        command(asked=Films(**{option.name: given.pop(option.name) for option in options}), **given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        alone = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += options if parameter.name == "asked" else [alone]
    asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    asked.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return asked
