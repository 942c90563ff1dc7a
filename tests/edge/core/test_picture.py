from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core import picture, pictureheader
from edge.core.errors import PictureError
from edge.core.picture import Picture
from tests.pictures import FORMATS, TURNED, empty_png, encoded, heic, not_files, patches, with_orientation


def test_a_picture_survives_within_what_jpeg_loses() -> None:
    pixels = np.full((60, 80, 3), (10, 120, 240), np.uint8)
    data = picture.jpeg(pixels, quality=92)
    back = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(back.astype(int) - pixels).max() <= 4


def test_it_is_made_smaller_only_where_it_is_too_wide() -> None:
    pixels = np.zeros((480, 640, 3), np.uint8)
    sizes = [
        cv2.imdecode(np.frombuffer(picture.jpeg(pixels, quality=70, widest_px=widest), np.uint8), 1).shape[:2]
        for widest in (None, 640, 320)
    ]
    assert sizes == [(480, 640), (480, 640), (240, 320)]


def test_it_holds_no_metadata() -> None:
    data = picture.jpeg(np.zeros((48, 64, 3), np.uint8), quality=70)
    assert b"Exif" not in data
    assert b"\xff\xfe" not in data, "no comment either"


def read(tmp_path: Path, data: bytes, name: str = "a.jpg") -> Picture:
    (tmp_path / name).write_bytes(data)
    return picture.read(tmp_path / name)


def refusal(tmp_path: Path, data: bytes, name: str = "a.jpg") -> str:
    """What is said of a file, without its folder."""
    with pytest.raises(PictureError) as caught:
        read(tmp_path, data, name)
    return str(caught.value).removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_turned_by_its_exif_mark_alike(
    tmp_path: Path, suffix: str, orientation: int, order: str
) -> None:
    stored = encoded(suffix, patches())
    upright = picture.read(write(tmp_path / f"plain{suffix}", stored)).pixels
    found = read(tmp_path, with_orientation(suffix, stored, orientation, order), f"turned{suffix}")
    assert np.array_equal(found.pixels, TURNED[orientation](upright))
    assert found.header.orientation == orientation
    assert (found.header.width_px, found.header.height_px) == (48, 32), "as stored: the manifest's boxes are as shown"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_exif_mark_that_cannot_be_leaves_the_picture_as_it_is(tmp_path: Path, suffix: str) -> None:
    stored = encoded(suffix, patches())
    for mark in (0, 9, 65_535):
        assert read(tmp_path, with_orientation(suffix, stored, mark)).header.orientation == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_content_says_the_format_and_not_the_name(tmp_path: Path, suffix: str) -> None:
    for name in ("a.jpg", "a.png", "a.webp", "a"):
        assert np.abs(read(tmp_path, encoded(suffix, patches()), name).pixels.astype(int) - patches()).mean() < 6


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_is_cut_off_anywhere_is_never_read(tmp_path: Path, suffix: str) -> None:
    whole = encoded(suffix, patches())
    for length in range(len(whole)):
        assert "a.jpg is broken: it is " in refusal(tmp_path, whole[:length])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(11)
    whole = with_orientation(suffix, encoded(suffix, patches()), 6)
    for _ in range(300):
        torn = bytearray(whole)
        for place in rng.integers(0, len(torn), rng.integers(1, 6)):
            torn[place] = rng.integers(256)
        with contextlib.suppress(PictureError):
            assert read(tmp_path, bytes(torn)).pixels.ndim == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "a.jpg is broken: it is empty"),
        (bytes(4096), "a.jpg is broken: there are only zeros in it"),
        (b"words", "a.jpg is broken: it is no JPEG, PNG or WebP"),
        (b"\xff\xd8\xff\xd9", "a.jpg is broken: it holds no picture"),
        (heic(), "a.jpg is a HEIC photograph, which saynote does not read: save it as JPEG"),
        (
            b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf",
            "a.jpg is a HEIC photograph, which saynote does not read: save it as JPEG",
        ),
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1", "a.jpg is a HEIF photograph, which saynote does not read: save it as JPEG"),
        (
            b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
            "a.jpg is an AVIF picture, which saynote does not read: save it as JPEG",
        ),
        (b"GIF89a and more", "a.jpg is a GIF, which saynote does not read: save it as JPEG"),
        (b"BM and more", "a.jpg is a BMP, which saynote does not read: save it as JPEG"),
        (b"II*\0 more", "a.jpg is a TIFF or a camera's raw picture, which saynote does not read: save it as JPEG"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a.jpg is a film, not a picture"),
        (b"RIFF\0\0\0\0AVI LIST", "a.jpg is a film or a sound, not a picture"),
        (b"<!doctype html>", "a.jpg is a web page or a drawing, not a photograph"),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "a.jpg stands for a file that Git LFS has not fetched: git lfs pull",
        ),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(tmp_path: Path, content: bytes, said: str) -> None:
    assert refusal(tmp_path, content) == said


def test_what_is_no_file_is_named_at_once_and_never_waited_for(tmp_path: Path) -> None:
    said = []
    (tmp_path / "folder.jpg").mkdir()
    for path in [*not_files(tmp_path), tmp_path / "folder.jpg"]:
        with pytest.raises(PictureError) as caught:
            picture.read(path)
        said.append(caught.value.reason)
    assert said == [
        "cannot be read: it is a device or a pipe, not a file",
        "cannot be read: it is a device or a pipe, not a file",
        "cannot be read: No such file or directory",
        "cannot be read: Too many levels of symbolic links",
        "cannot be read: it is a folder",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", encoded(".png", patches()))
    path.chmod(0)
    try:
        os.seteuid(65_534)
        with pytest.raises(PictureError, match="cannot be read: Permission denied"):
            picture.read(path)
    finally:
        os.seteuid(0)


def test_a_file_of_a_terabyte_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(PictureError, match=r"sparse\.jpg cannot be read: it is larger than 256 MB"):
        picture.read(tmp_path / "sparse.jpg")


MEASURED = """
import resource, sys
from pathlib import Path
from edge.core import picture
from edge.core.errors import PictureError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    picture.read(Path(sys.argv[1]))
except PictureError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


def test_a_picture_of_900_megapixels_is_refused_in_no_memory(tmp_path: Path) -> None:
    """In a process of its own, whose memory nothing else has raised: 2.7 GB is what decoding it takes."""
    path = write(tmp_path / "huge.png", empty_png(30_000, 30_000))
    command = [sys.executable, "-c", MEASURED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    kilobytes, said = done.stdout.split(maxsplit=1)
    assert "is too large, 30000 x 30000 pixels: 64 megapixels are read at most" in said
    assert int(kilobytes) < 4000


def test_a_large_jpeg_is_read_at_half_its_size_and_other_large_pictures_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As telephones of 108 and 200 megapixels write them, told by a limit that is lowered to a small picture's."""
    monkeypatch.setattr(picture, "MOST_PIXELS", 48 * 32)
    assert read(tmp_path, encoded(".jpg", patches(48, 32))).pixels.shape == (32, 48, 3)
    turned = with_orientation(".jpg", encoded(".jpg", patches(96, 64)), 6)
    halved = read(tmp_path, turned).pixels
    assert halved.shape == (48, 32, 3)
    assert np.abs(halved.astype(int) - np.rot90(patches(48, 32), -1)).mean() < 6
    assert "97 x 64 pixels" in refusal(tmp_path, encoded(".jpg", patches(97, 64)))
    for suffix in (".png", ".webp"):
        assert "50 x 32 pixels" in refusal(tmp_path, encoded(suffix, patches(50, 32)))
    good, data = cv2.imencode(".jpg", patches(96, 64), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert good
    assert "96 x 64 pixels" in refusal(tmp_path, bytes(data)), "its decoder holds all of it, at any size"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_file_in_memory_is_read_as_one_on_the_disk(suffix: str, tmp_path: Path) -> None:
    data = with_orientation(suffix, encoded(suffix, patches()), 6)
    (tmp_path / f"a{suffix}").write_bytes(data)
    found, wanted = picture.parse(data), picture.read(tmp_path / f"a{suffix}")
    assert np.array_equal(found.pixels, wanted.pixels)
    assert found.header == wanted.header


def test_whoever_reads_smaller_pictures_only_refuses_others_by_their_header() -> None:
    data = empty_png(3000, 1000)
    assert picture.parse(data, 3_000_000).pixels.shape == (1000, 3000, 3)
    with pytest.raises(pictureheader.TooLargeError, match="3000 x 1000 pixels"):
        picture.parse(data, 2_999_999)


def test_why_a_picture_is_not_read_is_the_same_in_another_process() -> None:
    with pytest.raises(pictureheader.OtherFormatError) as refused:
        picture.parse(b"GIF89a")
    again = pickle.loads(pickle.dumps(refused.value))
    assert (type(again), str(again)) == (pictureheader.OtherFormatError, str(refused.value))
