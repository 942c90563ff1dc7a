"""Files and requests that somebody sends who means no good, or whose program is broken."""

from __future__ import annotations

import io
import socket
import struct
import time
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from edge import app
from tests.deploy.rest.service import HEAD, Service, form, request, status
from tests.pictures import encoded

pytestmark = pytest.mark.integration

NOTE = sorted(app.REPLAY.glob("*.jpg"))[15].read_bytes()
MEMORY_MOST_BYTES = 700 << 20


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, data: bytes = b"", more: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """30,000 x 30,000 pixels of one colour: 2.7 GB in some kilobytes."""
    return png(30_000, 30_000, zlib.compress(bytes(1 << 22), 9))


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("note.jpg", NOTE)
    return packed.getvalue()


def exif(tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return NOTE[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + NOTE[2:]


def huge_jpeg_header() -> bytes:
    at = NOTE.index(b"\xff\xc0")
    return NOTE[: at + 5] + struct.pack(">HH", 65_000, 65_000) + NOTE[at + 9 :]


FILES: dict[str, tuple[bytes, int]] = {
    "nothing but zeros": (bytes(5000), 422),
    "rubbish": (np.random.default_rng(1).bytes(5000), 422),
    "a JPEG cut in half": (NOTE[: len(NOTE) // 2], 422),
    "the first bytes of a JPEG": (NOTE[:3], 422),
    "a ZIP called a JPEG": (zipped(), 422),
    "a drawing with a script": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 422),
    "a GIF": (b"GIF89a" + bytes(100), 415),
    "a HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), 415),
    "a PNG of 50,000 pixels a side, header alone": (png(50_000, 50_000), 413),
    "a PNG bomb": (bomb(), 413),
    "a JPEG that says it is of 65,000 pixels a side": (huge_jpeg_header(), 413),
    "a PNG without pixels": (png(0, 10), 422),
    "a WebP that is cut off": (b"RIFF\xff\xff\xff\x7fWEBPVP8L\0\0\0\x10\x2f\xff\xff\xff\x0f", 422),
    "more bytes than allowed": (NOTE + bytes(5_000_000), 413),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_photograph_is_refused_in_one_sentence(name: str, service: Service) -> None:
    data, status = FILES[name]
    told = service.classify(data)
    assert (told.status, told.headers["content-type"]) == (status, "application/problem+json"), told.body
    assert told.json["status"] == status
    assert "\n" not in told.json["detail"]
    assert told.json["instance"] == f"urn:saynote:request:{told.headers['x-request-id']}"
    assert service.classify(NOTE).status == 200
    assert service.memory_bytes() < MEMORY_MOST_BYTES


EXIFS = {
    "a directory of 65,535 entries": b"II*\0\x08\0\0\0\xff\xff" + bytes(12) * 500,
    "a directory that points to itself": b"MM\0*\0\0\0\x08\0\x01" + bytes(12) + b"\0\0\0\x08",
    "an offset past the end": b"II*\0\xff\xff\xff\xff",
    "an orientation of 60,000": b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x60\xea\0\0" + bytes(4),
    "sixty kilobytes of it": b"II*\0\x08\0\0\0\x00\x00" + bytes(60_000),
}


@pytest.mark.parametrize("name", EXIFS)
def test_a_mark_of_exif_that_lies_is_no_mark(name: str, service: Service) -> None:
    told = service.classify(exif(EXIFS[name]))
    assert told.status == 200
    assert told.first == service.classify(NOTE).first


def odd(mode: str | None, suffix: str, **how: object) -> bytes:
    """The note, as others save pictures."""
    saved = io.BytesIO()
    picture = Image.open(io.BytesIO(NOTE))
    (picture.convert(mode) if mode else picture).save(saved, suffix, **how)
    return saved.getvalue()


def noise(height: int, width: int) -> bytes:
    return encoded(".png", np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8))


AGAIN = [Image.open(io.BytesIO(NOTE)).transpose(Image.Transpose.ROTATE_180)]
DEEP = cv2.imdecode(np.frombuffer(NOTE, np.uint8), cv2.IMREAD_COLOR).astype(np.uint16) * 257
ODD: dict[str, tuple[bytes, int]] = {
    "one pixel": (noise(1, 1), 200),
    "one row": (noise(1, 60_000), 200),
    "one column": (noise(60_000, 1), 200),
    "as a printer has it": (odd("CMYK", "JPEG"), 200),
    "grey": (odd("L", "JPEG"), 200),
    "with a palette": (odd("P", "PNG"), 200),
    "partly transparent": (odd("RGBA", "WEBP"), 200),
    "of one bit": (odd("1", "PNG"), 200),
    "sixteen bits deep": (encoded(".png", DEEP), 200),
    "with rubbish behind it": (NOTE + bytes(range(256)) * 9, 200),
    "cut off, with an end put on": (NOTE[: len(NOTE) // 2] + b"\xff\xd9", 200),
    "a film of WebP": (odd(None, "WEBP", save_all=True, append_images=AGAIN), 422),
    "a film of PNG": (odd(None, "PNG", save_all=True, append_images=AGAIN), 422),
    "a million pixels wide": (png(1_048_577, 1), 422),
}


@pytest.mark.parametrize("name", ODD)
def test_a_picture_that_few_cameras_make_is_read_or_refused_in_one_sentence(name: str, service: Service) -> None:
    data, status = ODD[name]
    told = service.classify(data)
    assert told.status == status, told.body
    assert told.first["verdict"] if status == 200 else told.json["detail"].startswith("the picture is ")


def test_sixteen_bits_say_what_eight_do(service: Service) -> None:
    eight = encoded(".png", (DEEP // 257).astype(np.uint8))
    assert service.classify(ODD["sixteen bits deep"][0]).first == service.classify(eight).first


def test_the_right_picture_among_wrong_ones_is_answered_and_each_wrong_one_is_told(service: Service) -> None:
    told = service.classify_all([("a.jpg", NOTE), ("b.gif", b"GIF89a"), ("c.jpg", b""), ("d.jpg", NOTE)])
    first, gif, empty, last = told.json["answers"]
    assert told.status == 200
    assert {**first, "name": ""} == {**last, "name": ""}
    assert (first["problem"], first["verdict"] is not None) == (None, True)
    assert (gif["verdict"], gif["problem"]["status"]) == (None, 415)
    assert (empty["verdict"], empty["problem"]["detail"]) == (None, "the picture is broken: it is empty")


def test_a_name_is_told_back_and_becomes_nothing_else(service: Service) -> None:
    name = "../../../etc/<script>" + "x" * 300
    found = service.classify_all([(name, NOTE), ("b", NOTE)]).json["answers"][0]["name"]
    assert found.startswith("../../../etc/")
    assert len(found) == 200


def test_a_body_that_drips_is_ended(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        connection.settimeout(0.1)
        found, end_s = b"", time.monotonic() + 60
        while not found and time.monotonic() < end_s:
            try:
                connection.sendall(b"x")
                found = connection.recv(65_536)
            except TimeoutError:
                continue
    assert status(found) == 408
    assert b"application/problem+json" in found


def test_a_head_that_never_ends_is_let_go(service: Service) -> None:
    assert request(service, HEAD, patience_s=60) == b""


def test_a_connection_that_says_nothing_is_let_go(service: Service) -> None:
    assert request(service, patience_s=60) == b""


def test_a_second_request_on_a_connection_must_come_whole_too(service: Service) -> None:
    first = HEAD.replace(b"Connection: close\r\n", b"") + b"Content-Length: %d\r\n\r\n%b" % (len(NOTE), NOTE)
    assert status(request(service, first, b"POST /v1/cl", patience_s=60)) == 200


def test_a_length_that_promises_more_is_a_request_that_is_not_sent(service: Service) -> None:
    assert status(request(service, HEAD + b"Content-Length: %d\r\n\r\n" % (len(NOTE) + 10), NOTE)) == 408


def test_a_length_that_promises_less_cuts_the_picture_off(service: Service) -> None:
    assert status(request(service, HEAD + b"Content-Length: 100\r\n\r\n", NOTE)) == 422


def test_a_length_that_is_too_large_is_refused_by_itself(service: Service) -> None:
    told = request(service, HEAD + b"Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n")
    assert status(told) == 413


@pytest.mark.parametrize(
    "lengths",
    [b"Content-Length: -5\r\n", b"Content-Length: 1\r\nContent-Length: 2\r\n", b"Content-Length: x\r\n"],
)
def test_a_length_that_is_none_is_no_request(lengths: bytes, service: Service) -> None:
    assert status(request(service, HEAD + lengths + b"\r\n")) == 400


def test_a_body_in_pieces_is_held_to_the_same_limit(service: Service) -> None:
    piece = b"10000\r\n" + bytes(65_536) + b"\r\n"
    answer = request(service, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 80, b"0\r\n\r\n")
    assert status(answer) == 413


def test_a_body_in_pieces_is_a_picture_like_any_other(service: Service) -> None:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(NOTE), NOTE)
    assert status(request(service, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", body)) == 200


MULTIPART = HEAD.replace(b"image/jpeg", b"multipart/form-data; boundary=edge")
FORMS: dict[str, tuple[bytes, int]] = {
    "a thousand files": (form([(f"{n}.jpg", b"x") for n in range(1000)])[1], 400),
    "a thousand fields": (b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 1000 + b"--edge--", 400),
    "no file at all": (b"--edge--\r\n", 400),
    "no end": (b'--edge\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n' + NOTE, 400),
    "no beginning": (NOTE, 400),
    "a part without a name": (b"--edge\r\n\r\n" + NOTE + b"\r\n--edge--\r\n", 400),
    "a head of a megabyte": (b"--edge\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n\r\n--edge--\r\n", 400),
    "nothing": (b"", 400),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_none_is_refused(name: str, service: Service) -> None:
    body, wanted = FORMS[name]
    answer = request(service, MULTIPART + b"Content-Length: %d\r\n\r\n" % len(body), body)
    assert status(answer) == wanted, answer[:500]
    assert b"application/problem+json" in answer


def test_a_form_without_a_boundary_is_refused(service: Service) -> None:
    assert service.ask("POST", "/v1/classify", NOTE, content_type="multipart/form-data").status == 400


def test_another_kind_of_body_is_named_with_what_is_read(service: Service) -> None:
    told = service.ask("POST", "/v1/classify", b'{"url": "http://169.254.169.254/"}', content_type="application/json")
    assert (told.status, "image/jpeg" in told.headers["accept"]) == (415, True)


def test_an_empty_body_is_no_picture(service: Service) -> None:
    assert service.classify(b"").status == 400


@pytest.mark.parametrize(
    "path", ["/v1/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//evil", "/v1/classify%00", "/docs"]
)
def test_no_path_leads_anywhere_else(path: str, service: Service) -> None:
    told = service.ask("GET", path)
    assert told.status in (404, 405)
    assert told.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_no_damage_to_a_picture_ends_the_service(suffix: str, service: Service) -> None:
    rng = np.random.default_rng(7)
    whole = encoded(suffix, cv2.imdecode(np.frombuffer(NOTE, np.uint8), cv2.IMREAD_COLOR))
    files = []
    for _ in range(32):
        data = bytearray(whole[: rng.integers(len(whole) // 2, len(whole) + 1)])
        for at in rng.integers(0, len(data), 20):
            data[at] = rng.integers(256)
        files.append(("x", bytes(data)))
    for start in (0, 16):
        told = service.classify_all(files[start : start + 16])
        assert told.status == 200
        assert all((one["problem"] is None) != (one["verdict"] is None) for one in told.json["answers"])
    assert service.memory_bytes() < MEMORY_MOST_BYTES
