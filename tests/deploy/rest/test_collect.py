"""What is kept for training where its owner wants it, and that nothing is where nobody said so."""

from __future__ import annotations

import datetime
import json
import stat
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deploy.rest.collect import Collection
from deploy.rest.reader import Reading
from edge import app
from edge.core import bundle as bundles
from edge.core.errors import HardwareError
from tests.deploy.rest.conftest import Start
from training.photos import dataset

XTS, INR = (bundles.read(app.BUNDLES / name) for name in ("xts", "inr"))
TODAY = datetime.date(2026, 11, 25)
PIXELS = np.random.default_rng(1).integers(0, 255, (64, 96, 3)).astype(np.uint8)
FIFTY = Reading("amount", "50", "XTS", 0.99, "50 play crowns", {"50": 0.99}, None, PIXELS, 1.0, 1.0)
NONE = replace(FIFTY, verdict="no note", amount="", currency="", said="")


class Told:
    """Waits until so many pictures were dealt with."""

    def __init__(self) -> None:
        self.kept: list[bool] = []
        self._changed = threading.Condition()

    def __call__(self, kept: bool) -> None:
        with self._changed:
            self.kept.append(kept)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.kept) >= count, 60)


def keep(folder: Path, *readings: Reading, several: bool = False, today: datetime.date = TODAY, mb: int = 100) -> Told:
    told = Told()
    loaded = [XTS, INR] if several else [XTS]
    collection = Collection(folder, loaded, max_mb=mb, keep_days=30, today=lambda: today, told=told)
    for number, reading in enumerate(readings):
        collection.offer(reading)
        told.wait(number + 1)
    collection.close()
    return told


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_each_picture_lies_in_the_folder_of_what_was_said_to_it(tmp_path: Path) -> None:
    unsure = replace(NONE, verdict="unsure")
    assert keep(tmp_path, FIFTY, NONE, unsure, replace(NONE, verdict="several")).kept == [True] * 4
    assert files(tmp_path) == {
        *("said/50/2026-11-25-0001.jpg", "said/background/2026-11-25-0002.jpg"),
        *("doubtful/unsure/2026-11-25-0003.jpg", "doubtful/several/2026-11-25-0004.jpg"),
        *(f"results/2026-11-25-000{number}.json" for number in (1, 2, 3, 4)),
    }
    line = json.loads((tmp_path / "results" / "2026-11-25-0001.json").read_text())
    assert (line["verdict"], line["amount"], line["scores"]) == ("amount", "50", {"50": 0.99})
    assert line["bundles"] == {"xts 0.1.0": XTS.manifest.digest}
    assert stat.S_IMODE((tmp_path / "said" / "50").stat().st_mode) == 0o700


def test_it_is_a_folder_that_training_reads(tmp_path: Path) -> None:
    keep(tmp_path, FIFTY, replace(FIFTY, amount="20"), NONE, FIFTY)
    found = dataset.survey(tmp_path / "said")
    assert sorted(photo.label for photo in found.photos) == ["20", "50", "50", "background"]
    empty = {"5", "10", "100", "500"}
    assert {problem.path.name for problem in found.problems} <= empty, "amounts that nobody sent have no picture yet"


def test_with_several_bundles_each_currency_has_a_folder_for_training(tmp_path: Path) -> None:
    keep(tmp_path, FIFTY, replace(FIFTY, currency="INR"), several=True)
    assert {"said-XTS/50/2026-11-25-0001.jpg", "said-INR/50/2026-11-25-0002.jpg"} <= files(tmp_path)


def test_what_is_too_old_or_too_much_goes_on_every_shelf(tmp_path: Path) -> None:
    keep(tmp_path, FIFTY, NONE, today=TODAY - datetime.timedelta(days=31))
    assert len(files(tmp_path)) == 4
    keep(tmp_path, FIFTY)
    assert files(tmp_path) == {"said/50/2026-11-25-0001.jpg", "results/2026-11-25-0001.json"}
    noise = np.random.default_rng(2).integers(0, 255, (900, 900, 3)).astype(np.uint8)
    keep(tmp_path, *[replace(FIFTY, pixels=noise, amount=amount) for amount in ("5", "10", "20")], mb=1)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1_000_000
    assert {name.split("/")[1] for name in files(tmp_path) if name.startswith("said")} == {"20"}


def test_two_services_do_not_write_into_one_folder(tmp_path: Path) -> None:
    first = Collection(tmp_path, [XTS], max_mb=1, keep_days=1)
    with pytest.raises(HardwareError, match="another service keeps its pictures there"):
        Collection(tmp_path, [XTS], max_mb=1, keep_days=1)
    first.close()
    Collection(tmp_path, [XTS], max_mb=1, keep_days=1).close()


def test_a_folder_that_cannot_be_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HardwareError, match="pictures cannot be kept"):
        Collection(tmp_path / "file", [XTS], max_mb=1, keep_days=1)


@pytest.mark.integration
def test_of_a_picture_that_was_sent_the_pixels_are_kept_and_nothing_that_was_with_them(
    start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    service = start("--collect", str(folder))
    jpeg = sorted(app.REPLAY.glob("*.jpg"))[15].read_bytes()
    secret = b"\xff\xfe\x00\x20GPS 48.1 N, Some Body's house"
    body = jpeg[:2] + secret[:34] + jpeg[2:]
    assert service.classify_all([("../../../../tmp/evil.jpg", body), ("c:\\evil", jpeg)]).status == 200
    assert service.stop() == 0
    assert len(files(folder)) == 4
    assert all(name.split("/")[0] in ("said", "doubtful", "results") for name in files(folder))
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"GPS" not in everything
    assert b"evil" not in everything
    assert any(line["level"] == "warning" and "are kept in" in line["message"] for line in service.lines())


@pytest.mark.integration
def test_nobody_said_so_and_nothing_is_kept(start: Start, tmp_path: Path) -> None:
    service = start(env={"TMPDIR": str(tmp_path / "scratch"), "HOME": str(tmp_path / "home")})
    jpeg = sorted(app.REPLAY.glob("*.jpg"))[15].read_bytes()
    assert service.classify_all([("a.jpg", jpeg + bytes(3 << 20))] * 2).status == 200
    assert service.stop() == 0
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"service.log"}
