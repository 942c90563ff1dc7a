"""Owns the step from photographs (or play money) to what training needs: material, held-out pictures, a digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core import preprocess
from edge.core.bundle import BACKGROUND, SEVERAL, InputSpec
from training.errors import TrainingError
from training.learn.settings import Only
from training.photos import cutout, dataset, material
from training.photos.material import Material
from training.playmoney import notes, scenes
from training.synth import near
from training.synth.compose import Composer
from training.synth.recipe import Recipe

PLAY_SEEDS, PLAY_SCENES, PLAY_STRANGERS = 10, 300, 80
PLAY_WIDTH_PX = 320
FACTS = "prepared.json"
DRAWN_STRANGERS, DRAWN_SEED = 400, 700_000  # money of nobody for those who have none of other people's to show
# Play notes in ordinary light with nothing over them: what a demonstration shows.
MODERATE = Recipe(none_share=0.3, strength=0.4).without("covers", "strays", "near", "cameras")


@dataclass(frozen=True)
class Prepared:
    """Everything that fitting, quantising and calibrating need."""

    material: Material
    labels: tuple[str, ...]
    held_pictures: NDArray[np.uint8]  # (n, size, size, 3): not trained on
    held_finer: NDArray[np.uint8]  # (n, side, side, 3): the same, as fine as near looks are cut from
    held_truth: NDArray[np.int64]  # (n,)
    held_material: Material  # the same notes and grounds, to compose more of
    digest: str  # of the data
    counts: dict[str, int]
    sources: tuple[str, ...]
    by: str  # how the held-out pictures were chosen
    cautions: tuple[str, ...] = ()  # what to know before training, a sentence each

    def of(self, only: Only) -> Prepared:
        """The same with only such notes to train on.

        Raises TrainingError where that leaves a denomination without any.
        """
        cut_outs = only is Only.CUT_OUTS
        kept = {
            label: {source: patches for source, patches in sources.items() if patches[0].exact == cut_outs}
            for label, sources in self.material.notes.items()
        }
        empty = [label for label, sources in kept.items() if not sources]
        if empty:
            kind = "cut-outs" if cut_outs else "whole photographs"
            raise TrainingError(f"there are no {kind} of {', '.join(empty)}")
        return replace(self, material=replace(self.material, notes=kept))


def labels_for(denominations: Sequence[str]) -> tuple[str, ...]:
    """Denominations from small to large, then the two reserved labels."""
    return (*sorted(denominations, key=float), BACKGROUND, SEVERAL)


def from_photos(
    data: Path,
    background: Path | None,
    strangers: Sequence[Path],
    input_: InputSpec,
    *,
    series: Path | None = None,
    held_out_source: str | None = None,
    tick: Callable[[int, int], None] = lambda i, n: None,
) -> Prepared:
    """Read and check every photograph before any training time is spent. Raises TrainingError naming the file.

    `series`: a table of series and corrected labels, see `manifest.read_series`.
    """
    photos = dataset.clustered(dataset.scan(data, background, series))
    others = [p for folder in strangers for p in dataset.scan_background(folder)]
    train, held = dataset.split(photos, dataset.HELD_OUT_SHARE, held_out_source)
    known, unknown = dataset.split(others, dataset.HELD_OUT_SHARE)
    for sentence in dataset.lacking(photos, train, held):
        raise TrainingError(sentence)
    labels = labels_for(sorted({p.label for p in photos} - {BACKGROUND}))
    contents = dataset.hashes(photos + others)
    for one, other in dataset.under_two_labels(photos + others, contents):
        raise TrainingError(f"{one.path} and {other.path} are the same picture: {one.label} and {other.label}")
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        tick(done, len(photos) + len(others))

    gathered = material.gather([photos[i] for i in train], [others[i] for i in known], count)
    kept = material.gather([photos[i] for i in held], [others[i] for i in unknown])
    gathered.strangers.extend(_draw_strangers(DRAWN_SEED, DRAWN_STRANGERS))
    kept.strangers.extend(_draw_strangers(DRAWN_SEED + DRAWN_STRANGERS, DRAWN_STRANGERS // 4))
    pictures, finer = [], []
    fine = InputSpec(near.FINER * input_.width, near.FINER * input_.height, input_.fit)
    for index in held:
        picture = dataset.load(photos[index].path)
        pictures.append(preprocess.to_tensor(picture, input_)[0])
        finer.append(preprocess.to_tensor(picture, fine)[0])
        count()
    return Prepared(
        gathered,
        labels,
        np.stack(pictures),
        np.stack(finer),
        np.array([labels.index(photos[i].label) for i in held]),
        kept,
        dataset.digest(photos + others, contents),
        dataset.counts(photos),
        tuple(sorted({p.source for p in photos if p.label != BACKGROUND})),
        f"the source {held_out_source}"
        if held_out_source
        else f"{dataset.HELD_OUT_SHARE:.0%} of the near-duplicate clusters",
        tuple(dataset.cautions(photos, held)),
    )


def from_play_money(
    input_: InputSpec, seed: int, denominations: Sequence[int] = notes.DENOMINATIONS, recipe: Recipe | None = None
) -> Prepared:
    """Play money drawn from `seed`; held out are compositions of notes, scenes and strangers of other seeds."""
    labels = labels_for([str(d) for d in denominations])
    train = play_material(denominations, seed * 1000, 1.0)
    kept = play_material(denominations, seed * 1000 + 500, 0.3)
    held = Composer(kept, labels, input_.width, seed + 1, recipe or MODERATE)
    samples = [held.sample(number) for number in range(600)]
    pictures = np.stack([s.pixels for s in samples])
    named = f"{notes.CURRENCY} {seed} {list(denominations)} {PLAY_SEEDS} {PLAY_SCENES} {PLAY_STRANGERS} {PLAY_WIDTH_PX}"
    return Prepared(
        train,
        labels,
        pictures,
        pictures,
        np.array([int(s.target.argmax()) for s in samples]),
        kept,
        hashlib.sha256(named.encode()).hexdigest(),
        dict(Counter({str(d): 2 * PLAY_SEEDS for d in denominations})),
        ("drawn",),
        "drawings of other seeds",
    )


def play_material(denominations: Sequence[int], seed: int, share: float) -> Material:
    """Drawn notes, scenes and strangers; `share` of the usual number of each."""
    drawn = {
        str(d): {
            "drawn": [_drawn(d, face, seed + s) for s in range(max(2, int(PLAY_SEEDS * share))) for face in notes.FACES]
        }
        for d in denominations
    }
    grounds = [scenes.draw_scene(seed + s, (180, 240)) for s in range(int(PLAY_SCENES * share))]
    others = _draw_strangers(seed, int(PLAY_STRANGERS * share))
    # Notes of the currency that this bundle leaves out are strangers to it.
    left_out = [d for d in notes.DENOMINATIONS if d not in denominations]
    others += [_drawn(d, face, seed) for d in left_out for face in notes.FACES]
    return Material(drawn, grounds, others, hands=[])


def _draw_strangers(seed: int, count: int) -> list[cutout.Patch]:
    return [cutout.whole(notes.draw_stranger(seed + number, PLAY_WIDTH_PX)) for number in range(count)]


def _drawn(denomination: int, face: str, seed: int) -> cutout.Patch:
    pixels = notes.draw(denomination, face, seed, PLAY_WIDTH_PX)
    return cutout.Patch(pixels, np.full(pixels.shape[:2], 255, np.uint8), exact=True)


def require_same_labels(prepared: Prepared, folder: Path) -> None:
    """Raises TrainingError where the run in `folder` was begun with other amounts, in whose place these would be."""
    try:
        begun = json.loads((folder / FACTS).read_text(encoding="utf-8"))["labels"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if tuple(begun) != prepared.labels:
        raise TrainingError(f"{folder} was begun with the labels {', '.join(begun)}: it cannot go on with others")


def describe(prepared: Prepared, folder: Path) -> None:
    """Write what was prepared, for people, to `folder`/prepared.json; no program reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "labels": prepared.labels,
        "digest": prepared.digest,
        "counts": prepared.counts,
        "sources": prepared.sources,
        "held_out": len(prepared.held_truth),
        "held_out_by": prepared.by,
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
