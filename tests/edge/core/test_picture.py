import cv2
import numpy as np

from edge.core import picture


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
