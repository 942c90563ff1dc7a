from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.bundle import Bundle, DecisionSpec, InputSpec
from edge.core.errors import BundleError, HardwareError, Reason
from edge.core.line import one_line
from tests.bundles import HARMS, edit
from tests.bundles import copy as copied

DECISION = DecisionSpec(1.0, {"5": 0.9, "50": 0.8}, 0.6, 3, 0.6, 1.5, 0.7)
LABELS = ("5", "50", "background", "several")
PICTURES = np.arange(2 * 32 * 32 * 3, dtype=np.int64).reshape(2, 32, 32, 3).astype(np.uint8)
LOGITS = np.arange(8, dtype=np.float32).reshape(2, 4)


def write(folder: Path, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "name": "test", "version": "1.0.0", "currency": "XTS", "model": b"model", "labels": LABELS,
        "input_": InputSpec(32, 32, "squash"), "decision": DECISION, "selftest_pictures": PICTURES,
        "selftest_logits": LOGITS, "selftest_tolerance": 0.1, "has_box": False, "card": "# card",
    }  # fmt: skip
    bundles.write(folder, **(values | changes))
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    bundle = bundles.read(write(tmp_path / "b"))
    assert (bundle.labels, bundle.model, bundle.denominations) == (LABELS, b"model", ("5", "50"))
    assert bundle.manifest.decision == DECISION
    assert np.array_equal(bundle.selftest_pictures, PICTURES)


def test_the_digest_covers_model_labels_and_decision_and_nothing_else(tmp_path: Path) -> None:
    def digest(**changes: Any) -> str:
        return bundles.read(write(tmp_path / "b", **changes)).manifest.digest

    same = digest()
    assert digest(version="2.0.0", card="# another", training={"commit": "abc"}) == same
    other = DecisionSpec(1.0, {"5": 0.91, "50": 0.8}, 0.6, 3, 0.6, 1.5, 0.7)
    assert len({same, digest(model=b"other"), digest(decision=other), digest(labels=("50", *("5",), *LABELS[2:]))}) == 4


@pytest.mark.parametrize("file", [bundles.MODEL, bundles.LABELS, bundles.SELFTEST, bundles.MANIFEST])
@pytest.mark.parametrize("harm", ["missing", "empty", "truncated", "a bit flipped"])
def test_any_harm_to_any_file_is_noticed(tmp_path: Path, file: str, harm: str) -> None:
    path = write(tmp_path / "b") / file
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "a bit flipped":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    else:
        path.write_bytes(b"" if harm == "empty" else data[: len(data) // 2])
    with pytest.raises(BundleError):
        bundles.read(tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["files"].pop("model.tflite"), "no hash for model.tflite"),
        (lambda m: m.update(format=2), "format 2"),
        (lambda m: m["decision"]["thresholds"].update({"5": 0.5}), "were changed"),
        (lambda m: m.update(currency="INR"), "were changed"),
        (lambda m: m["decision"]["thresholds"].pop("5"), "threshold"),
        (lambda m: m["decision"].update(min_frames=0), "min_frames"),
        (lambda m: m["decision"].update(span_s=0.9), "never speak"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["input"].update(fit="stretch"), "fit"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path, change: Any, reason: str) -> None:
    edit(write(tmp_path / "b"), change)
    with pytest.raises(BundleError, match=reason):
        bundles.read(tmp_path / "b")


@pytest.mark.parametrize("harm", sorted(HARMS))
def test_whatever_is_wrong_with_it_is_one_sentence(tmp_path: Path, harm: str) -> None:
    folder = copied(tmp_path / "b")
    HARMS[harm](folder)
    if harm.startswith("the model") and harm not in UNREADABLE_MODELS:
        assert bundles.read(folder).model == (folder / bundles.MODEL).read_bytes(), "only what runs it finds out"
        return
    with pytest.raises(BundleError) as caught:
        bundles.read(folder)
    assert str(caught.value) == one_line(str(caught.value))
    assert len(str(caught.value)) < 400


UNREADABLE_MODELS = {
    *("the model is missing", "the model is a folder", "the model is a device"),
    "the model is of 1 GB",
}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../../escaped"}, {"name": ""}, {"name": "-n"}, {"name": ".hidden"}, {"name": "x" * 65},
        {"name": "a&b"}, {"name": "a/b"}, {"name": "b\n"}, {"name": "größe"}, {"version": "1.0 beta"},
        {"version": "../1"}, {"currency": "euro"}, {"currency": "EUR\n"}, {"selftest_tolerance": 0.0},
        {"selftest_pictures": PICTURES[:1]}, {"selftest_logits": LOGITS * np.nan}, {"labels": LABELS + ("9" * 400,)},
        {"model": bytes((32 << 20) + 1)}, {"figures": {"accuracy": float("nan")}},
    ],
)  # fmt: skip
def test_what_could_not_be_read_is_not_even_written(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BundleError):
        write(tmp_path / "b", **change)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["inr", "a", "_x", "INR-2.0_b", "x" * 64, "0.1"])
def test_names_of_letters_digits_and_three_signs_are_taken(tmp_path: Path, name: str) -> None:
    manifest = bundles.read(write(tmp_path / "b", name=name, version=name)).manifest
    assert (manifest.name, manifest.version) == (name, name)


def test_what_travels_is_the_five_files_and_nothing_else(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    (folder / "notes.txt").write_text("not part of it")
    found = bundles.contents(folder)
    assert found.keys() == {bundles.MODEL, bundles.LABELS, bundles.SELFTEST, bundles.MANIFEST, bundles.CARD}
    assert all((folder / file).read_bytes() == data for file, data in found.items())
    (folder / bundles.CARD).unlink()
    assert bundles.contents(folder).keys() == found.keys() - {bundles.CARD}


@pytest.mark.parametrize("file", [bundles.MODEL, bundles.CARD])
def test_nothing_travels_from_where_a_link_leads(tmp_path: Path, file: str) -> None:
    folder = write(tmp_path / "b")
    (folder / file).rename(tmp_path / "elsewhere")
    (folder / file).symlink_to(tmp_path / "elsewhere")
    assert bundles.read(folder).model == b"model", "on the device it may lie elsewhere"
    with pytest.raises(BundleError, match=f"{file} cannot be read: it is a link"):
        bundles.contents(folder)


def test_a_manifest_of_before_is_read_and_its_digest_stays(tmp_path: Path) -> None:
    """`oldest_runtime` is no longer written."""
    folder = write(tmp_path / "b")
    before = bundles.read(folder).manifest
    edit(folder, lambda m: m.update(oldest_runtime="2.14.0"))
    assert bundles.read(folder).manifest == msgspec.structs.replace(before, oldest_runtime="2.14.0")
    assert b"oldest_runtime" not in (write(tmp_path / "c") / bundles.MANIFEST).read_bytes()
    digests = {bundles.read(app.BUNDLES / name).manifest.digest[:12] for name in ("inr", "xts")}
    assert digests == {"4e11ad3389bb", "24c0b1b522af"}


@pytest.mark.parametrize("labels", [("5", "5", "background", "several"), ("5", "50"), ("fifty", "background")])
def test_labels_that_make_no_sense_are_not_even_written(tmp_path: Path, labels: tuple[str, ...]) -> None:
    with pytest.raises(BundleError):
        write(tmp_path / "b", labels=labels)


def test_turns_and_times_that_cannot_work_are_not_even_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="never speak"):
        write(tmp_path / "b", decision=msgspec.structs.replace(DECISION, span_s=DECISION.window_s))
    with pytest.raises(BundleError, match="cannot be turned by 90 degrees"):
        write(tmp_path / "b", input_=InputSpec(32, 64, "squash", turns=(0, 90)))
    assert not (tmp_path / "b").exists()


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    packed = io.BytesIO()
    np.savez(packed, pictures=np.array([object()], dtype=object), logits=LOGITS)
    (folder / bundles.SELFTEST).write_bytes(packed.getvalue())
    import hashlib

    edit(folder, lambda m: m["files"].update({bundles.SELFTEST: hashlib.sha256(packed.getvalue()).hexdigest()}))
    with pytest.raises(BundleError):
        bundles.read(folder)


def test_what_was_checked_is_what_is_used_whatever_happens_to_the_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    bundle = bundles.read(folder)
    for file in (bundles.MODEL, bundles.LABELS, bundles.SELFTEST):
        (folder / file).write_bytes(b"another")
    assert (bundle.model, bundle.labels) == (b"model", LABELS)
    assert np.array_equal(bundle.selftest_pictures, PICTURES)


def test_a_bundle_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    assert bundles.read(folder).path == folder
    folder.chmod(0)
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(65_534)  # whom the mode keeps out
        with pytest.raises(BundleError, match="Permission denied"):
            bundles.read(folder)
        assert bundles.currency(folder) == ""
    finally:
        os.seteuid(me)
        folder.chmod(0o755)


@pytest.mark.parametrize("folder", ["nowhere", "b/model.tflite", "a\0b", "x" * 300, "loop"])
def test_what_is_no_folder_is_no_bundle(tmp_path: Path, folder: str) -> None:
    write(tmp_path / "b")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BundleError):
        bundles.read(tmp_path / folder)


def answering(bundle: Bundle, error: float) -> Any:
    rows = iter(bundle.selftest_logits)
    return lambda tensor: [(next(rows) + np.float32(error))[None]]


def test_the_selftest_allows_rounding_and_nothing_more(tmp_path: Path) -> None:
    bundle = bundles.read(write(tmp_path / "b"))
    assert bundles.selftest(bundle, answering(bundle, 0.05)) == pytest.approx(0.05, abs=1e-3)
    for error in (0.2, float("nan")):
        with pytest.raises(BundleError, match="self-test failed"):
            bundles.selftest(bundle, answering(bundle, error))
    with pytest.raises(BundleError, match="does not fit"):
        bundles.selftest(bundle, lambda tensor: [np.zeros((1, 9), np.float32)])


def test_a_model_that_does_not_run_is_the_bundles_fault_not_the_computers(tmp_path: Path) -> None:
    def invoke(tensor: object) -> Any:
        raise HardwareError("engine", Reason.BROKEN, "the model does not run: input tensor 7 lacks data")

    with pytest.raises(BundleError, match="input tensor 7 lacks data"):
        bundles.selftest(bundles.read(write(tmp_path / "b")), invoke)


@pytest.mark.parametrize("name", sorted(path.name for path in app.BUNDLES.iterdir() if path.is_dir()))
@pytest.mark.parametrize("runtime", ["ai-edge-litert", "tflite-runtime"])
def test_every_shipped_bundle_is_whole_and_computes_the_same_on_both_runtimes(name: str, runtime: str) -> None:
    pytest.importorskip(runtime.replace("-", "_"))
    from edge.drivers.tflite import TfliteEngine

    bundle = bundles.read(app.find_bundle(name))
    engine = TfliteEngine(bundle.model, threads=1, runtime=runtime)  # type: ignore[arg-type]
    bundles.selftest(bundle, engine.invoke)
    engine.close()


def test_a_shipped_bundle_copied_elsewhere_is_the_same(tmp_path: Path) -> None:
    shutil.copytree(app.BUNDLES / "xts", tmp_path / "copy")
    assert bundles.read(tmp_path / "copy").manifest == bundles.read(app.BUNDLES / "xts").manifest
