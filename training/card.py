"""Owns the model card: what a bundle was made from, what it was measured to do, and what it cannot."""

from __future__ import annotations

from edge.core.bundle import DecisionSpec
from training.fit import FitSettings
from training.prepare import Prepared


def write(
    name: str,
    version: str,
    currency: str,
    prepared: Prepared,
    settings: FitSettings,
    decision: DecisionSpec,
    figures: dict[str, float],
) -> str:
    """The card as Markdown."""
    counts = "\n".join(f"| {label} | {count} |" for label, count in sorted(prepared.counts.items()))
    measured = "\n".join(f"| {key.replace('_', ' ')} | {value:g} |" for key, value in figures.items())
    thresholds = ", ".join(f"{label}: {value:g}" for label, value in decision.thresholds.items())
    return f"""# Model card: {name} {version} ({currency})

Says which denomination of {currency} a photograph shows: {", ".join(decision.thresholds)}.
Everything else (other amounts, other currencies, no note, two different notes) is to be rejected.

**It does not tell genuine notes from counterfeits.**

## Made from

{settings.trunk} at width {settings.width:g}, {settings.size} x {settings.size} pixels,
{settings.steps} steps of {settings.batch} composed samples, seed {settings.seed}; int8 throughout.
Sources of the notes: {", ".join(prepared.sources)}.

| label | pictures |
|---|---|
{counts}

## Measured

On pictures not trained on ({prepared.by}), int8, through the device's own stages:

| figure | value |
|---|---|
{measured}

Pictures of the same sources as the training's flatter any model: the README has the figures on a stranger's.

## Decides

Temperature {decision.temperature:g}; least probabilities {thresholds}; at least {decision.min_frames} frames within
{decision.window_s:g} s.

## Limits

- Denominations that are not listed have no training data; they are meant to be rejected, which was not measured
  for each.
- Trained on few photographers' pictures; other light, cameras, wear and older series may do worse.
"""
