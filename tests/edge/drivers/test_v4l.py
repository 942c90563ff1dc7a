"""Which video nodes are cameras, on machines as they are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.drivers.v4l import CAPABILITY, nodes, read_capability

CAPTURE, META, M2M, PIPELINE, STREAMING, OF_NODE = 0x1, 0x80_0000, 0x8000, 0x2000_0000, 0x400_0000, 0x8000_0000


def answer(driver: str, card: str, of_node: int) -> bytes:
    return CAPABILITY.pack(driver.encode(), card.encode(), b"usb-1", 0x060C00, CAPTURE | META | OF_NODE, of_node)


def machine(root: Path, names: dict[int, str]) -> Path:
    (root / "dev").mkdir()
    for number, name in names.items():
        (root / "dev" / f"video{number}").touch()
        folder = root / "sys/class/video4linux" / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
    (root / "dev" / "videofoo").touch()
    return root


def asked(root: Path, answers: dict[int, bytes | OSError | None]) -> Callable[[Path], bytes | None]:
    def ask(path: Path) -> bytes | None:
        found = answers[int(path.name.removeprefix("video"))]
        if isinstance(found, OSError):
            raise found
        return found

    return ask


def test_of_the_nodes_of_a_webcam_the_one_that_gives_pictures_is_the_camera(tmp_path: Path) -> None:
    root = machine(tmp_path, {10: "C920", 2: "C920", 1: "C920"})
    ask = asked(root, {n: answer("uvcvideo", "C920", META if n == 2 else CAPTURE | STREAMING) for n in (1, 2, 10)})
    assert [(one.path.name, one.name, one.pictures) for one in nodes(root, ask)] == [
        ("video1", "C920", True),
        ("video2", "C920", False),
        ("video10", "C920", True),
    ]


@pytest.mark.parametrize(
    ("driver", "bits", "camera"),
    [
        ("uvcvideo", CAPTURE | STREAMING, True),
        ("uvcvideo", META | STREAMING, False),
        ("uvcvideo", 0x1000 | STREAMING, True),
        ("bm2835 mmal", CAPTURE, True),  # the Pi's camera of old
        ("v4l2 loopback", CAPTURE, True),
        ("v4l2 loopback", 0x2, False),  # nobody feeds it
        ("bcm2835-codec", M2M, False),
        ("bcm2835-isp", CAPTURE, False),
        ("unicam", CAPTURE, False),
        ("rp1-cfe", CAPTURE | PIPELINE, False),
    ],
)
def test_codecs_processors_and_bare_sensors_are_no_webcams(driver: str, bits: int, camera: bool) -> None:
    assert read_capability(answer(driver, "a card", bits)) == ("a card", camera)


def test_an_old_kernel_tells_of_the_device_alone() -> None:
    told = CAPABILITY.pack(b"uvcvideo", b"Old", b"usb-1", 0x020600, CAPTURE, 0)
    assert read_capability(told) == ("Old", True)


def test_a_node_that_may_not_be_asked_may_be_the_camera_and_one_without_a_device_is_none(tmp_path: Path) -> None:
    root = machine(tmp_path, {0: "Secret", 1: "Gone"})
    ask = asked(root, {0: None, 1: OSError(6, "No such device or address")})
    assert [(one.name, one.pictures) for one in nodes(root, ask)] == [("Secret", True), ("Gone", False)]


def test_what_is_no_video_node_is_asked_and_passed_over(tmp_path: Path) -> None:
    assert [one.pictures for one in nodes(machine(tmp_path, {0: "a file"}))] == [False]


def test_where_the_kernel_keeps_no_names_the_device_tells_its_own(tmp_path: Path) -> None:
    root = machine(tmp_path, {0: ""})
    assert [one.name for one in nodes(root, asked(root, {0: answer("uvcvideo", "C920", CAPTURE)}))] == ["C920"]


def test_a_machine_without_cameras_has_no_nodes(tmp_path: Path) -> None:
    assert nodes(tmp_path) == []
