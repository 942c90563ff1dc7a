from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Pcm
from edge.drivers.fake import FakeSynth
from edge.outlets.phrases import LEAD_S, PASSING, TAIL_S, Phrases, joined, trimmed

TEXTS = ["10 rupees", "20 rupees", "Ready"]


@pytest.fixture
def synth() -> FakeSynth:
    return FakeSynth()


def phrases(synth: FakeSynth, folder: Path | None = None, settings: str = "165|50|100") -> Phrases:
    return Phrases(synth, "en", settings, folder)


def rendered(synth: FakeSynth) -> list[str]:
    return [text for text, _ in synth.texts]


def test_a_phrase_is_rendered_once(synth: FakeSynth) -> None:
    kept = phrases(synth)
    assert kept.prepare(TEXTS) == 3
    assert kept.prepare(TEXTS) == 0
    for text in TEXTS * 3:
        assert kept.sound(text).seconds > 0
    assert rendered(synth) == TEXTS


def test_the_next_start_takes_it_from_the_disk_unchanged(synth: FakeSynth, tmp_path: Path) -> None:
    first = phrases(synth, tmp_path / "phrases")
    first.prepare(TEXTS)
    later = FakeSynth()
    again = phrases(later, tmp_path / "phrases")
    assert again.prepare(TEXTS) == 0
    assert later.texts == []
    for text in TEXTS:
        np.testing.assert_array_equal(first.sound(text).samples, again.sound(text).samples)
        assert first.sound(text).rate_hz == again.sound(text).rate_hz


def test_another_speed_is_another_sound(synth: FakeSynth, tmp_path: Path) -> None:
    phrases(synth, tmp_path).prepare(TEXTS)
    assert phrases(synth, tmp_path, "300|50|100").prepare(TEXTS) == 3


@pytest.mark.parametrize("harm", ["empty", "truncated", "flipped", "other arrays", "no archive", "no rate"])
def test_a_file_damaged_by_a_power_cut_is_rendered_anew(synth: FakeSynth, tmp_path: Path, harm: str) -> None:
    phrases(synth, tmp_path).prepare(["Ready"])
    [file] = tmp_path.glob("*.npz")
    whole = file.read_bytes()
    if harm == "empty":
        file.write_bytes(b"")
    elif harm == "truncated":
        file.write_bytes(whole[: len(whole) // 2])
    elif harm == "flipped":
        file.write_bytes(whole[:500] + bytes([whole[500] ^ 0xFF]) + whole[501:])
    elif harm == "other arrays":
        np.savez(file, noise=np.zeros(3))
    elif harm == "no archive":
        with file.open("wb") as out:
            np.save(out, np.zeros(3))
    else:
        np.savez(file, samples=np.zeros(3, np.int16), rate_hz=0)
    later = FakeSynth()
    kept = phrases(later, tmp_path)
    assert kept.prepare(["Ready"]) == 1
    assert kept.sound("Ready").seconds > 0
    assert phrases(FakeSynth(), tmp_path).prepare(["Ready"]) == 0, "and it is whole again"


def test_every_prefix_of_a_kept_file_is_survived(synth: FakeSynth, tmp_path: Path) -> None:
    phrases(synth, tmp_path).prepare(["X"])
    [file] = tmp_path.glob("*.npz")
    whole = file.read_bytes()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        assert phrases(FakeSynth(), tmp_path).prepare(["X"]) == 1


def test_pickled_sound_is_not_loaded(synth: FakeSynth, tmp_path: Path) -> None:
    phrases(synth, tmp_path).prepare(["Ready"])
    [file] = tmp_path.glob("*.npz")
    np.savez(file, samples=np.array([object()], dtype=object), rate_hz=22_050)
    assert phrases(synth, tmp_path).prepare(["Ready"]) == 1


def test_totals_are_never_written_to_disk_and_only_the_last_few_are_kept(synth: FakeSynth, tmp_path: Path) -> None:
    kept = phrases(synth, tmp_path)
    kept.prepare(TEXTS)
    files = sorted(tmp_path.iterdir())
    totals = [f"Total: {n} rupees" for n in range(3 * PASSING)]
    for text in totals:
        kept.sound(text)
    assert sorted(tmp_path.iterdir()) == files
    synth.texts.clear()
    for text in totals[-PASSING:]:
        kept.sound(text)
    assert synth.texts == []
    kept.sound(totals[0])
    assert rendered(synth) == totals[:1], "an old one is rendered again"
    assert kept.prepare(TEXTS) == 0, "the fixed ones are never pushed out"


def test_a_disk_that_takes_nothing_is_said_once_and_costs_no_phrase(
    synth: FakeSynth, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = phrases(synth, tmp_path / "file" / "phrases")
    assert kept.prepare(TEXTS) == 3
    assert kept.sound("Ready").seconds > 0
    assert len([record for record in caplog.records if "not kept on disk" in record.getMessage()]) == 1


def test_a_voice_that_fails_is_told_and_tried_again_the_next_time(synth: FakeSynth) -> None:
    kept = phrases(synth)
    synth.fail = HardwareError("speech", Reason.BROKEN, "no voice")
    with pytest.raises(HardwareError, match="no voice"):
        kept.sound("Ready")
    synth.fail = None
    assert kept.sound("Ready").seconds > 0


def test_two_threads_asking_at_once_render_once(synth: FakeSynth) -> None:
    kept = phrases(synth)
    both = threading.Barrier(2)

    def ask() -> None:
        both.wait()
        kept.sound("Ready")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rendered(synth) == ["Ready"]


class SlowSynth(FakeSynth):
    """A process that takes its time: until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def render(self, text: str, language: str) -> Pcm:
        self.begun.set()
        assert self.go_on.wait(5.0)
        return super().render(text, language)


def test_an_amount_never_waits_for_a_total_that_is_being_rendered() -> None:
    synth = SlowSynth()
    kept = Phrases(synth, "en", "test")
    synth.go_on.set()
    kept.prepare(["10 rupees"])
    kept.start()
    synth.begun.clear(), synth.go_on.clear()
    kept.ahead("Total: 10 rupees")
    assert synth.begun.wait(5.0)
    assert kept.sound("10 rupees").seconds > 0, "while the other is not there yet"
    synth.go_on.set()
    assert kept.sound("Total: 10 rupees").seconds > 0
    assert rendered(synth) == ["10 rupees", "Total: 10 rupees"], "who asks for it waits for the one rendering"
    kept.close()


def test_a_voice_that_fails_ahead_of_time_ends_nothing(synth: FakeSynth) -> None:
    kept = phrases(synth)
    synth.fail = HardwareError("speech", Reason.BROKEN, "no voice")
    kept.ahead("Total: 10 rupees")
    synth.fail = None
    assert kept.sound("Total: 10 rupees").seconds > 0


def test_silence_around_a_phrase_is_cut_and_none_of_its_sound() -> None:
    word = np.full(5000, 3000, np.int16)
    padded = Pcm(np.concatenate([np.zeros(1146, np.int16), word, np.zeros(7320, np.int16)]), 22_050)
    found = trimmed(padded)
    assert np.count_nonzero(found.samples) == 5000
    assert np.flatnonzero(found.samples)[0] == round(LEAD_S * 22_050)
    assert found.seconds == pytest.approx(5000 / 22_050 + LEAD_S + TAIL_S, abs=0.001)
    silence = Pcm(np.zeros(100, np.int16), 22_050)
    assert trimmed(silence) is silence


def test_sounds_are_joined_with_a_pause_between_them() -> None:
    one, two = Pcm(np.full(10, 1, np.int16), 1000), Pcm(np.full(20, 2, np.int16), 1000)
    assert joined([one, two], 0.005).samples.tolist() == [1] * 10 + [0] * 5 + [2] * 20
    with pytest.raises(ValueError, match="one rate"):
        joined([one, Pcm(two.samples, 2000)], 0.005)


def test_what_is_needed_later_is_rendered_after_the_start_and_kept(synth: FakeSynth, tmp_path: Path) -> None:
    kept = phrases(synth, tmp_path)
    kept.start(later=["10 seconds ago", "20 seconds ago"])
    kept.ahead("Total: 10 rupees")
    while len(synth.texts) < 3:
        kept._thread.join(0.01)
    kept.close()
    assert kept.prepare(["10 seconds ago", "20 seconds ago"]) == 0
    assert len(list(tmp_path.glob("*.npz"))) == 2, "the total is not on the disk"


def test_a_kept_phrase_that_is_asked_for_before_it_was_loaded_comes_from_the_disk(
    synth: FakeSynth, tmp_path: Path
) -> None:
    phrases(synth, tmp_path).prepare(["50 rupees"])
    later = FakeSynth()
    assert (
        phrases(later, tmp_path).sound("50 rupees").samples.tobytes()
        == synth.render("50 rupees", "en").samples.tobytes()
    )
    assert not later.texts
