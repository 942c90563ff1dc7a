from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.learn import calibrate
from training.measure import specimens
from training.measure.stills import Outcome
from training.playmoney import notes, scenes
from training.show import report

Save = Callable[[Path, np.ndarray], Path]
XTS = Path(__file__).parents[3] / "edge" / "bundles" / "xts"
LABELS = ("10", "100", "background", "several")


def outcome(truth: str, probabilities: list[float], said: str = "", name: str = "x.jpg") -> Outcome:
    best = LABELS[int(np.argmax(probabilities[:2]))]
    return Outcome(Path(name), truth, best, said, np.array(probabilities, np.float32))


def test_the_bins_are_those_of_the_calibration_error() -> None:
    rng = np.random.default_rng(1)
    probs = rng.dirichlet([0.4] * 4, 300).astype(np.float32)
    truth = rng.integers(0, 3, 300)
    found = report.bins([Outcome(Path("x"), LABELS[t], "10", "", p) for t, p in zip(truth, probs, strict=True)], LABELS)
    assert len(found) == 15
    assert sum(b.count for b in found) == 300
    error = sum(b.count / 300 * abs(b.right - b.sureness) for b in found)
    assert error == pytest.approx(calibrate.calibration_error(probs, truth), abs=1e-6)


def test_the_curve_speaks_more_and_errs_more_as_the_threshold_falls() -> None:
    outcomes = [
        outcome("10", [0.99, 0.01, 0, 0]),
        outcome("10", [0.95, 0.05, 0, 0]),
        outcome("10", [0.1, 0.9, 0, 0]),
        outcome("100", [0.2, 0.1, 0.7, 0]),  # taken for background: never spoken to
        outcome("background", [0.92, 0, 0.08, 0]),
    ]
    wrong, false = report.curves(outcomes, LABELS)
    assert wrong[0] == (0.25, 0.0)
    assert wrong[-1] == (0.75, pytest.approx(1 / 3))
    assert false[0] == (0.25, 0.0)
    assert false[-1] == (0.75, 1.0)


def test_notes_that_are_equally_sure_are_spoken_to_together() -> None:
    wrong, _ = report.curves([outcome("10", [0.9, 0.1, 0, 0]), outcome("100", [0.9, 0.1, 0, 0])], LABELS)
    assert set(wrong) == {(1.0, 0.5)}


def test_the_worst_mistake_comes_first_and_right_ones_not_at_all() -> None:
    said_wrong = outcome("10", [0.05, 0.95, 0, 0], "100")
    said_surer = outcome("10", [0.01, 0.99, 0, 0], "100")
    said_to_nothing = outcome("background", [1, 0, 0, 0], "10")
    unsaid = outcome("100", [0.6, 0.4, 0, 0])
    right, silent = outcome("10", [1, 0, 0, 0], "10"), outcome("background", [0.1, 0, 0.9, 0])
    found = report.mistakes([right, unsaid, said_to_nothing, silent, said_wrong, said_surer], LABELS)
    assert found == [said_surer, said_wrong, said_to_nothing, unsaid]
    assert report.mistakes([unsaid, said_wrong], LABELS, most=1) == [said_wrong]


class Page(HTMLParser):
    """What a page holds, as a reader of it meets it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on drawn notes, some under a wrong name, with a manifest beside them."""
    if not XTS.is_dir():
        pytest.skip("the play-money bundle is not there: make xts")
    top = tmp_path_factory.mktemp("report")
    rows = ["file,source,series"]
    for number, amount in enumerate(notes.DENOMINATIONS):
        scene = np.full((240, 320, 3), 128, np.uint8)
        drawn = notes.draw(amount, "front", number, 260)
        scene[60 : 60 + drawn.shape[0], 30:290] = drawn
        folder = 500 if amount == 5 else amount  # its note is in the wrong folder: a mistake to be shown
        for name, picture in ((f"data/{folder}/<b>{number}.png", scene), (f"data/7/{number}.png", ground(number))):
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(top / name), picture[..., ::-1])
        rows.append(f"data/{folder}/<b>{number}.png,anna,{'old' if number % 2 else 'new'}")
    (top / "manifest.csv").write_text("\n".join(rows) + "\n")
    left_out = '{"name": "no folds", "samples": 1234567, "accuracy": 0.9072948328267477, "wrong": 0.0023364485981308}'
    (top / "ablation.json").write_text(f'[{left_out}, {{"name": "all", "accuracy": 0.97}}]')
    return report.make(XTS, partial(specimens.gather, top / "data", None), top / "out", ablation=top / "ablation.json")


def ground(number: int) -> np.ndarray:
    return scenes.draw_scene(number + 40, (240, 320))


def test_the_page_needs_nothing_from_anywhere_else(made: Path) -> None:
    page = Page(made.read_text())
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe")]
    sources = [str(image["src"]) for image in page.all("img")]
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert [str(link["href"]) for link in page.all("a") if not str(link["href"]).startswith("#")] == []
    assert "url(" not in made.read_text()


def test_the_page_can_be_listened_to(made: Path) -> None:
    page = Page(made.read_text())
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("table")) == len(page.all("caption")) >= 5
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("svg")) == made.read_text().count("<title>") - 1 == 2
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {str(link["href"])[1:] for link in page.all("a")} <= ids
    assert all(head.get("scope") in ("row", "col") for head in page.all("th"))


def test_the_page_tells_the_figures_with_what_they_are_of(made: Path) -> None:
    words = Page(made.read_text()).words
    assert "It does not tell genuine notes from counterfeits." in words
    for words_ in ("wrong announcements", "precision", "recall", "Notes by source", "anna", "old"):
        assert words_ in words
    assert re.search(r"5 of 6", words)
    assert "multiply-adds" in words
    assert re.search(r"no folds\s*1234567\s*0\.907\s*0\.0023\s*all", words)  # as many digits as tell


def test_only_the_mistake_is_shown_and_its_name_is_no_markup(made: Path) -> None:
    page = Page(made.read_text())
    (image,) = page.all("img")
    assert str(image["alt"]).startswith("Photograph: shown 500, ")
    assert "<b>0.png" in page.words
    assert page.all("b") == []


def test_git_is_told_to_leave_the_photographs_alone(made: Path) -> None:
    assert (made.parent / ".gitignore").read_text().splitlines()[-1] == "*"


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt install chromium")
@pytest.mark.parametrize(("scheme", "bright"), [("1", True), ("0", False)], ids=["light", "dark"])
def test_chromium_draws_the_page_in_light_and_in_the_dark(
    made: Path, tmp_path: Path, scheme: str, bright: bool
) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'c'}"]
    flags += [f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1000,3000"]
    shot = tmp_path / "page.png"
    subprocess.run(["chromium", *flags, f"--screenshot={shot}", made.as_uri()], check=True, timeout=200)
    picture = cv2.imread(str(shot))
    assert (picture.mean() > 128) == bright
    # The confusion matrix has green cells, the curves blue lines.
    blue, green, red = (picture[..., i].astype(int) for i in range(3))
    assert ((green > red + 30) & (green > blue + 10)).sum() > 2000
    assert ((blue > red + 60) & (blue > green + 30)).sum() > 500
