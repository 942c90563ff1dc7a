"""The unmodified daemon with its real drivers in a virtual device: OpenCV's camera, PortAudio's card, lgpio's pins.

`make e2e-device`. The note is play money, drawn by `training.playmoney`. What is heard is what the sound card got.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core import wire
from edge.core.pulsecode import CHANGE, OLD, PulseCode
from edge.core.session import OLD_AFTER_S
from edge.core.speech import Speech
from tests.e2e.field import Reader
from tests.e2e.vm.machine import Machine
from tests.e2e.vm.senses import SURE, Person

pytestmark = [pytest.mark.e2e_device, pytest.mark.timeout(1800)]

SAID_S, NOTICED_S, BACK_S = 90.0, 180.0, 180.0
AMOUNTS = bundles.read(app.find_bundle("xts")).denominations
TEXT = Speech("en", "XTS")
CARD = "/sys/bus/platform/drivers/snd_aloop"


def test_a_note_is_seen_and_its_amount_is_heard_and_felt_and_sent_and_no_other(
    device: Machine, person: Person, notes: dict[str, Path], reader: Reader
) -> None:
    before = len(reader.messages)
    person.show(notes["20"])
    person.hears(TEXT.amount("20"), SAID_S, lambda: person.show_again(notes["20"]))
    code = PulseCode(AMOUNTS, {}).amount("20")
    device.wait_for("felt", SAID_S, lambda: code in person.felt())
    reader.wait_until(lambda: "20" in detected(reader, before), SAID_S)
    assert max(person.likeness(TEXT.amount(other)) for other in notes if other != "20") < SURE
    # One long pulse says: hold it another way. It may come while the note comes into view.
    assert {sign for sign in person.felt() if sign != CHANGE} == {code}
    assert set(detected(reader, before)) == {"20"}


def test_a_press_repeats_the_last_amount_and_tells_that_it_is_old(
    device: Machine, person: Person, notes: dict[str, Path]
) -> None:
    person.show(notes["100"])
    person.hears(TEXT.amount("100"), SAID_S, lambda: person.show_again(notes["100"]))
    person.show(None)
    device.run(f"sleep {OLD_AFTER_S + 1}")
    person.attend()
    person.press()
    person.hears(TEXT.amount("100"), SAID_S, person.press)
    told = [PulseCode(AMOUNTS, {}).amount("100"), OLD]
    device.wait_for("felt", SAID_S, lambda: person.felt()[:2] == told)
    assert max(person.likeness(TEXT.amount(other)) for other in notes if other != "100") < SURE


def test_a_camera_that_is_unplugged_is_missed_and_found_again_under_another_number(
    device: Machine, person: Person, notes: dict[str, Path]
) -> None:
    device.run("systemctl stop camera")
    person.hears("The camera has stopped, I keep trying", NOTICED_S)
    device.wait_for("rid of its camera", NOTICED_S, lambda: unplugged(device))
    device.run("sh /usr/local/bin/device_camera.sh 3")
    person.hears("The camera works again", BACK_S)
    person.show(notes["50"])
    person.hears(TEXT.amount("50"), BACK_S, lambda: person.show_again(notes["50"]))


def test_a_sound_card_that_is_unplugged_comes_back_and_is_spoken_through(
    device: Machine, person: Person, notes: dict[str, Path]
) -> None:
    before = len(journal(device))
    # The kernel waits there until nobody holds the card.
    device.run(f"systemctl stop ear; (echo snd_aloop.0 >{CARD}/unbind) </dev/null >/dev/null 2>&1 &")
    device.wait_for("rid of its card", NOTICED_S, lambda: "Loopback" not in device.run("aplay -l 2>&1", check=False))
    person.show(notes["5"])  # said to nobody
    device.wait_for("without sound", NOTICED_S, lambda: "nothing can be heard" in journal(device)[before:])
    device.wait_for("done with it", NOTICED_S, lambda: "snd_aloop.0" not in device.run(f"ls {CARD}"))
    person.show(None)
    device.run(f"echo snd_aloop.0 >{CARD}/bind; sh /usr/local/bin/device_ear.sh")
    person.hears("The sound works again", BACK_S)
    person.show(notes["20"])
    person.hears(TEXT.amount("20"), BACK_S, lambda: person.show_again(notes["20"]))


def journal(device: Machine) -> str:
    return device.run("journalctl -b -u saynote -o cat --no-pager")


def unplugged(device: Machine) -> bool:
    return device.run("rmmod v4l2loopback 2>&1; test -e /sys/module/v4l2loopback || echo gone").endswith("gone\n")


def detected(reader: Reader, since: int) -> list[str]:
    return [str(payload.amount) for payload in detections(reader, since)]


def detections(reader: Reader, since: int) -> list[wire.DetectionPayload]:
    payloads = [wire.decode(data) for topic, data, _ in reader.messages[since:] if topic.endswith("/detection")]
    return [payload for payload in payloads if isinstance(payload, wire.DetectionPayload)]
