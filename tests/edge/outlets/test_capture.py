from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.messages import Box, Decision, Frame, Look, Notice, Observation, Scene, Sight, Verdict
from edge.core.orders import Command, Done
from edge.drivers.fake import FakeClock
from edge.outlets.album import Album
from edge.outlets.capture import INBOX_SIZE, STALE_S, Capture

LABELS = ("50", "500", "background", "several")
THRESHOLDS = {"50": 0.9, "500": 0.8}
WALL_S = datetime.datetime(2026, 11, 25, 15, 30).timestamp()
CLEAR = Scene(Look.CLEAR, 100, 50, 300)


def seen(seq: int, **shares: float) -> Observation:
    """Scores by label, with a letter before amounts; what is left goes to the others in equal parts."""
    given = {name.removeprefix("n"): share for name, share in shares.items()}
    rest = (1 - sum(given.values())) / max(1, len(LABELS) - len(given))
    scores = np.log(np.array([given.get(label, rest) for label in LABELS], np.float32))
    return Observation(seq, seq / 10, CLEAR, scores, Box(0.5, 0.4, 0.6, 0.2, 0.9), {"invoke": 3.0})


def frame(seq: int) -> Frame:
    return Frame(seq, seq / 10, np.full((48, 64, 3), 3 * seq, np.uint8))


class Bench:
    """Capture over a real folder."""

    def __init__(self, folder: Path, wall_s: float = WALL_S) -> None:
        self.folder = folder / "captures"
        album = Album(self.folder, max_bytes=1_000_000, keep_days=30)
        self.clock, self.posted = FakeClock(wall_s=wall_s), list[object]()
        self.capture = Capture(album, LABELS, THRESHOLDS, "xts 0.1.0", "ab" * 32, self.clock, post=self.posted.append)

    def see(self, seq: int, **shares: float) -> None:
        self.capture.offer(Sight(frame(seq), seen(seq, **shares)))

    def decide(self, verdict: Verdict, seq: int, presence: int = 1) -> bool:
        return self.capture.offer(Decision(verdict, seq, seq / 10, presence))

    def kept(self) -> list[tuple[str, int, dict[str, object]]]:
        """Reason, number of the frame (from its shade) and line of each picture, once all is written."""
        self.capture.close()
        found = []
        for path in sorted(self.folder.glob("*.json")):
            line = json.loads(path.read_text())
            shade = cv2.imread(str(path.with_suffix(".jpg"))).mean()
            found.append((line["reason"], round(shade / 3), line))
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    one.capture.start()
    yield one
    one.capture.close()


def test_the_picture_on_which_it_was_unsure_is_kept_with_what_it_made_of_it(bench: Bench) -> None:
    bench.see(1, n50=0.3, n500=0.35)
    bench.see(2, n50=0.3, n500=0.35)
    bench.decide(Verdict.UNSURE, 2)
    ((reason, seq, line),) = bench.kept()
    assert (reason, seq) == ("unsure", 2)
    assert set(line) == {"reason", "bundle", "digest", "scores", "box"}, "no time, no device, nothing of the owner"
    assert line["scores"] == pytest.approx({"50": 0.3, "500": 0.35, "background": 0.175, "several": 0.175}, abs=1e-3)
    assert line["box"] == [0.5, 0.4, 0.6, 0.2]
    assert (line["bundle"], line["digest"]) == ("xts 0.1.0", "ab" * 32)


def test_the_picture_with_two_notes_is_kept(bench: Bench) -> None:
    bench.see(1, several=0.9)
    bench.decide(Verdict.SEVERAL, 1)
    bench.decide(Verdict.GONE, 9)
    assert [kept[:2] for kept in bench.kept()] == [("several", 1)]


def test_of_those_below_the_threshold_the_nearest_is_kept_once_the_note_has_gone(bench: Bench) -> None:
    for seq, share in ((1, 0.6), (2, 0.85), (3, 0.7), (4, 0.97)):  # the threshold is 0.9
        bench.see(seq, n50=share)
    bench.decide(Verdict.GONE, 5)
    bench.see(6, n500=0.75)  # another presence, another threshold
    bench.decide(Verdict.GONE, 7, presence=2)
    assert [kept[:2] for kept in bench.kept()] == [("near", 2), ("near", 6)]


@pytest.mark.parametrize("shares", [{"n50": 0.95}, {"n50": 0.4}, {"background": 0.9}, {"n50": 0.3, "background": 0.6}])
def test_what_is_clear_far_off_or_no_note_is_not_kept(bench: Bench, shares: dict[str, float]) -> None:
    bench.see(1, **shares)
    bench.decide(Verdict.AMOUNT, 1)
    bench.decide(Verdict.GONE, 9)
    assert bench.kept() == []


def test_an_amount_alone_keeps_nothing(bench: Bench) -> None:
    bench.see(1, n50=0.99)
    bench.decide(Verdict.AMOUNT, 1)
    assert bench.kept() == []


def test_a_frame_that_was_stopped_before_inference_is_not_taken_for_the_one_decided_on(bench: Bench) -> None:
    bench.see(1, n50=0.6)
    bench.capture.offer(Sight(frame(2), Observation(2, 0.2, CLEAR)))
    bench.decide(Verdict.UNSURE, 2)
    assert [kept[:2] for kept in bench.kept()] == [("near", 1)]


def test_what_was_picked_is_kept_at_the_end(bench: Bench) -> None:
    bench.see(1, n50=0.6)
    assert [kept[:2] for kept in bench.kept()] == [("near", 1)]


def test_a_full_inbox_turns_away_and_says_so(tmp_path: Path) -> None:
    one = Bench(tmp_path)  # not started: nobody takes
    for seq in range(INBOX_SIZE):
        one.see(seq, n50=0.6)
        assert one.decide(Verdict.UNSURE, seq)
    one.see(99, n50=0.6)
    assert not one.decide(Verdict.UNSURE, 99)


def test_a_disk_that_is_full_is_said_once_and_keeping_goes_on_when_it_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Disk(Album):
        """Full for the first three pictures."""

        tries = 0

        def add(self, jpeg: bytes, line: bytes, today: datetime.date | None) -> bool:
            self.tries += 1
            if self.tries <= 3:
                raise OSError(28, "No space left on device")
            return super().add(jpeg, line, today)

    disk = Disk(tmp_path / "captures", max_bytes=1_000_000, keep_days=30)
    capture = Capture(disk, LABELS, THRESHOLDS, "xts 0.1.0", "ab" * 32, FakeClock(wall_s=WALL_S))
    caplog.set_level(logging.INFO)
    for seq in range(4):
        capture.offer(Sight(frame(seq), seen(seq, n50=0.6)))
        capture.offer(Decision(Verdict.UNSURE, seq, seq / 10, seq))
    capture.start()
    capture.close()
    said = [record.message for record in caplog.records]
    assert said == [
        "pictures cannot be kept just now: [Errno 28] No space left on device",
        "pictures can be kept again",
    ]
    assert len(list((tmp_path / "captures").glob("*.jpg"))) == 2, "the last, and the nearest at the end"


def test_a_clock_that_was_never_set_gives_no_date(tmp_path: Path) -> None:
    one = Bench(tmp_path, wall_s=1000.0)
    one.capture.start()
    one.see(1, n50=0.6)
    one.decide(Verdict.UNSURE, 1)
    one.kept()
    assert sorted(path.name for path in one.folder.glob("*.jpg"))[0] == "undated-0001.jpg"


def test_a_folder_that_cannot_be_made_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "captures").write_text("a file")
    with pytest.raises(OSError, match="captures"):
        Bench(tmp_path).capture.start()


def test_what_is_asked_for_is_the_latest_picture_and_the_answer_is_its_name(bench: Bench) -> None:
    bench.see(1, n50=0.3)
    bench.capture.offer(Sight(frame(2), Observation(2, 0.2, CLEAR)))  # no inference, so no scores
    assert bench.capture.offer(Command("c1", "snapshot"))
    ((reason, seq, line),) = bench.kept()
    assert (reason, seq, line["scores"], line["box"]) == ("snapshot", 2, {}, None)
    (name,) = [path.name for path in bench.folder.glob("*.jpg")]
    assert bench.posted == [Notice("captures kept"), Done("c1", result=name)], "said aloud each time"


def test_there_is_no_snapshot_without_a_picture_of_now(bench: Bench) -> None:
    bench.capture.offer(Command("c1", "snapshot"))
    bench.see(1, n50=0.3)
    bench.clock.advance(STALE_S + 0.1)
    bench.capture.offer(Command("c2", "snapshot"))
    bench.capture.offer(Command("c3", "repeat"))
    assert bench.kept() == []
    assert bench.posted == [Done(id_, "the camera gives no picture") for id_ in ("c1", "c2")]


def test_a_snapshot_that_cannot_be_kept_is_answered_with_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.see(1, n50=0.3)
    for number in range(INBOX_SIZE + 1):
        bench.capture.offer(Command(f"c{number}", "snapshot"))
    assert bench.posted[-1] == Done(f"c{INBOX_SIZE}", "too many pictures wait to be written")
    bench.folder.write_text("no folder")
    bench.capture._keep(bench.capture._inbox.take(0))
    answer = bench.posted[-1]
    assert isinstance(answer, Done)
    assert (answer.id, answer.result) == ("c0", "")
    assert "cannot be kept" in answer.why


def test_a_snapshot_larger_than_all_may_be_is_answered_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.capture._album = Album(bench.folder, max_bytes=10, keep_days=30)
    bench.see(1, n50=0.3)
    bench.capture.offer(Command("c1", "snapshot"))
    bench.capture._keep(bench.capture._inbox.take(0))
    assert bench.posted[-1] == Done("c1", "the picture is larger than capture.max_mb allows")
