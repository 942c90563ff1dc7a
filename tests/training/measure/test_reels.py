"""What is kept of films is what the device's observer saw, and comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.bundle import Bundle, DecisionSpec, InputSpec, Manifest
from edge.core.messages import Look
from training.errors import TrainingError
from training.measure import films, haste, reels
from training.measure.specimens import Specimen
from training.measure.stock import Stock
from training.measure.stories import Plan
from training.photos import cutout

Save = Callable[[Path, np.ndarray], Path]
LABELS = ("10", "20", "background", "several")
PLAN = Plan(seed=3, empty_frames=40, scenes=1, frames_per_s=15)
RED, GREEN = (210, 40, 40), (40, 190, 40)


def coloured(colour: tuple[int, int, int], seed: int) -> np.ndarray:
    grain = np.random.default_rng(seed).uniform(0.75, 1.0, (9, 20, 1)).repeat(12, 0).repeat(12, 1)
    return (np.array(colour) * grain).astype(np.uint8)


def by_colour(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Red is ten, green is twenty, both are several; all that shows of either is where the note is."""
    red, green, blue = (tensor[0, ..., i].astype(float) for i in range(3))
    reds, greens = (red > 1.8 * np.maximum(green, blue)).mean(), (green > 1.8 * np.maximum(red, blue)).mean()
    logits = np.zeros((1, 4), np.float32)
    both, none = min(reds, greens) > 0.02, max(reds, greens) < 0.05
    logits[0, 3 if both else 2 if none else 0 if reds > greens else 1] = 9
    return [logits, np.array([[0.5, 0.5, 0.8, 0.4, 0.9]], np.float32)]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    decision = DecisionSpec(1.0, {"10": 0.8, "20": 0.8}, 0.6, 3, 0.6, 1.5, 0.7, span_s=0.4)
    looks = InputSpec(48, 48, "squash", near=0.1)
    manifest = Manifest(1, "colours", "1.0.0", "XTS", looks, decision, True, 0.1, {}, "d" * 64)
    nothing = np.zeros((1, 48, 48, 3), np.uint8)
    return Bundle(Path("colours"), manifest, LABELS, b"", nothing, np.zeros((1, 4), np.float32))


@pytest.fixture
def stock(tmp_path: Path, save: Save) -> Stock:
    shown = [
        Specimen(save(tmp_path / label / "0.png", coloured(colour, 1)), label)
        for label, colour in (("10", RED), ("20", GREEN))
    ]
    greys = [np.random.default_rng(i).integers(70, 180, (24, 32, 1), np.uint8) for i in range(3)]
    grounds = [np.repeat(grey.repeat(10, 0).repeat(10, 1), 3, axis=2) for grey in greys]
    several = save(tmp_path / "several" / "0.png", np.concatenate([coloured(RED, 4), coloured(GREEN, 5)]))
    return Stock(shown, grounds, [cutout.whole(coloured(RED, 50))], [], [several])


@pytest.fixture
def kept(bundle: Bundle, stock: Stock) -> list[reels.Reel]:
    return reels.record(bundle, by_colour, stock, PLAN)


def test_every_film_of_the_plan_is_kept_with_what_it_shows(kept: list[reels.Reel]) -> None:
    kinds = [reel.heading.kind for reel in kept]
    assert kinds == ["one note"] * 2 + ["one after the other"] + ["several at once"] * 2 + ["nothing"]
    assert {reel.heading.truths for reel in kept[:2]} == {("10",), ("20",)}
    assert kept[-1].heading.frames == len(kept[-1].looks) == 40
    assert kept[0].looks[15].t_s == pytest.approx(1.0), "fifteen frames a second"
    assert 0.4 < kept[0].heading.seen_from_s < 0.9


def test_what_is_decided_on_kept_looks_is_what_the_device_decides_on_the_films(
    kept: list[reels.Reel], bundle: Bundle, stock: Stock
) -> None:
    row = haste.compare(kept, LABELS, {"as it is": bundle.manifest.decision})[0]
    shown = films.run(bundle, by_colour, stock, PLAN)
    assert (row.right, row.wrong) == (shown.events["right"].count, shown.events["wrong"].count) == (2, 0)
    assert (row.median_s, row.p95_s) == (shown.seconds_median, shown.seconds_p95)
    assert row.swaps_right == shown.scenes[0].outcomes["both said in order"].count
    assert (row.false, row.empty_frames) == (shown.walk.announced.count, 40)


def test_kept_looks_survive_the_way_through_a_file(kept: list[reels.Reel], tmp_path: Path) -> None:
    reels.write(tmp_path / "films.npz", kept, LABELS)
    found = reels.read(tmp_path / "films.npz", LABELS)
    assert [reel.heading for reel in found] == [reel.heading for reel in kept]
    for reel, again in zip(kept, found, strict=True):
        for look, other in zip(reel.looks, again.looks, strict=True):
            assert (look.t_s, look.scene.look, look.near) == (other.t_s, other.scene.look, other.near)
            assert (look.scores is None) == (other.scores is None) == (look.scene.look is not Look.CLEAR)
            assert look.scores is None or np.array_equal(look.scores, other.scores)  # type: ignore[arg-type]
            assert (look.box and look.box.visible) == (other.box and pytest.approx(other.box.visible))


def test_a_file_that_holds_no_films_of_this_bundle_is_refused_in_one_sentence(
    kept: list[reels.Reel], tmp_path: Path
) -> None:
    reels.write(tmp_path / "films.npz", kept, LABELS)
    with pytest.raises(TrainingError, match=r"films\.npz holds no films .* a bundle with 3 labels"):
        reels.read(tmp_path / "films.npz", LABELS[:3])
    (tmp_path / "torn.npz").write_bytes((tmp_path / "films.npz").read_bytes()[:-40])
    with pytest.raises(TrainingError, match=r"torn\.npz holds no films"):
        reels.read(tmp_path / "torn.npz", LABELS)
    with pytest.raises(TrainingError, match="cannot be read: No such file"):
        reels.read(tmp_path / "nowhere.npz", LABELS)
    with pytest.raises(TrainingError, match="cannot be written"):
        reels.write(tmp_path / "nowhere" / "films.npz", kept, LABELS)
