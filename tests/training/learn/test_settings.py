from __future__ import annotations

import inspect
import re
from dataclasses import replace

import pytest
import typer

from edge.core.errors import BundleError
from training.cli import learning
from training.cli.app import app
from training.learn import settings
from training.learn.settings import PLAY, USUAL, Identity
from training.variants import Variant

SHARED = ("trunk", "width", "size", "steps", "head_steps", "last_layers", "batch", "seed")


def test_the_command_line_and_a_sweep_begin_with_the_same_settings() -> None:
    options = inspect.signature(learning.train).parameters
    for name in SHARED:
        assert options[name].default == getattr(USUAL, name) == getattr(Variant("a"), name), name
    assert Variant("a").settings == USUAL


def test_what_a_training_of_a_sweep_is_told_reaches_it() -> None:
    chosen = Variant("a", trunk="tiny", size=64, steps=7, learning_rate=1e-3, last_layers=3).settings
    assert (chosen.trunk, chosen.size, chosen.steps) == ("tiny", 64, 7)
    assert (chosen.learning_rate, chosen.last_layers) == (1e-3, 3)


def test_the_help_names_the_rates_that_are_taken_where_none_is_given() -> None:
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    (option,) = [parameter for parameter in command.params if parameter.name == "learning_rate"]
    usual, further = map(float, re.findall(r"[0-9]e-[0-9]", option.help))
    assert (usual, further) == (settings.peak_rate(further=False), settings.peak_rate(further=True))


@pytest.mark.parametrize("steps", [600, 1400])
def test_a_short_run_follows_its_statistics_sooner(steps: int) -> None:
    chosen = settings.for_play_money("tiny", 1.0, 64, steps, 1, from_scratch=True)
    assert (chosen.norm_momentum, chosen.ema) == ((0.9, 0.98) if steps <= settings.SHORT_STEPS else (0.95, 0.99))
    assert chosen.warmup_steps <= 100
    assert (chosen.head_steps, chosen.learning_rate) == (0, settings.SCRATCH_RATE)
    assert settings.for_play_money("tiny", 1.0, 64, steps, 1, from_scratch=False).head_steps == PLAY.head_steps


@pytest.mark.parametrize("wrong", [("../inr", "1.0", "INR"), ("inr", "1.0 beta", "INR"), ("inr", "1.0", "rupee")])
def test_what_no_bundle_may_be_called_is_refused_before_the_first_step(wrong: tuple[str, str, str]) -> None:
    with pytest.raises(BundleError, match="the bundle's"):
        Identity(*wrong)


@pytest.mark.parametrize(("steps", "averaging", "warming"), [(4000, 0.998, 200), (1000, 0.992, 200), (100, 0.98, 20)])
def test_a_short_run_is_not_averaged_with_where_it_began(steps: int, averaging: float, warming: int) -> None:
    chosen = replace(USUAL, steps=steps)
    assert (chosen.averaging, chosen.warming) == (pytest.approx(averaging), warming)
    # What an average of the whole run holds of its first weights.
    assert chosen.averaging ** (0.8 * steps) < 0.25


def test_play_money_is_averaged_as_it_was() -> None:
    for steps in (300, 800, 1400):
        chosen = settings.for_play_money("tiny", 1.0, 64, steps, 1, from_scratch=False)
        assert (chosen.averaging, chosen.warming) == (chosen.ema, chosen.warmup_steps)
