from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import HardwareError, Reason
from edge.drivers.fake import FakeSynth
from edge.outlets.phrases import PASSING, Phrases

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
