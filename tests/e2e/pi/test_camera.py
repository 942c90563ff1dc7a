"""picamera2 itself, called by the driver: the daemon sees play money through libcamera's "virtual" camera and says it.

`make e2e-camera`: Debian 13, whose own libcamera has that camera. What is real and what stands in:
guest/virtual_camera.py.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.pi.conftest import Report
from tests.e2e.pi.device import PLAY_MONEY, QUIET, Broker, Device
from tests.e2e.pi.rootfs import CACHE, CAMERA, PYTHON, SUITE
from tests.e2e.pi.step import run
from tests.e2e.pi.test_deploying import AMOUNTS

NOT_TRIED = (
    "PICAMERA2 ITSELF WAS NOT TRIED: Debian 12 has no libcamera with a virtual camera; `make e2e-camera` tries it on "
    "Debian 13. Here tests/ports/standins.py stands in, with a FakePicamera2 that is a fake"
)
GUEST = Path(__file__).parent / "guest"
# And what Debian does not have.
FROM_PYTHON = ("picamera2>=0.3.36,<0.4", "simplejpeg", "videodev2")
HOME = "/usr/local/lib/saynote-e2e"
COMMAND = f"/opt/saynote/current/venv/bin/python {HOME}/virtual_camera.py"
VIRTUAL = f"""%YAML 1.1
---
"Virtual0":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [10, 30]
  frames:
    path: "{HOME}/frames/"
  location: "CameraLocationBack"
  model: "virtual"
"""
# Each picture is there for four frames, and all begin again after the last: half of the recording, at half its pace.
SET_UP = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends {" ".join(CAMERA)}
# Where apt's picamera2 is on a Pi: outside the release, seen from inside.
/opt/saynote/current/venv/bin/python -m pip --python /usr/bin/python3 install --quiet --break-system-packages \\
    --no-index --no-deps --find-links /home/pi/camera {" ".join(f"'{each}'" for each in FROM_PYTHON)}
mkdir -p {HOME}/frames /usr/share/libcamera/pipeline/virtual /etc/systemd/system/saynote.service.d
cp /home/pi/guest/*.py {HOME}/
number=0
for picture in $(ls {PLAY_MONEY}/*.jpg | sed -n 'p;n'); do
    cp "$picture" {HOME}/frames/$number.jpg
    number=$((number + 1))
done
cat >/usr/share/libcamera/pipeline/virtual/virtual.yaml <<'YAML'
{VIRTUAL}YAML
printf '[Service]\\nExecStart=\\nExecStart={COMMAND} run --config /etc/saynote/edge.toml\\n' \\
    >/etc/systemd/system/saynote.service.d/camera.conf
systemctl daemon-reload
"""


def wheels() -> Path:
    """picamera2 and what it imports, from Python's registry; kept."""
    folder = CACHE / "camera"
    tags = [f"--platform={tag}_x86_64" for tag in ("manylinux2014", "manylinux_2_28")]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    run([*pip, f"--python-version={PYTHON}", *tags, "--dest", str(folder), *FROM_PYTHON], 300)
    return folder


@pytest.fixture
def seeing(device: Device) -> Device:
    """A device with that camera; its settings ask for picamera2."""
    if SUITE != "trixie":
        pytest.skip(NOT_TRIED)
    machine = device.machine
    rsh = f"ssh -F {device.ssh_config}"
    run(["rsync", "--archive", "--rsh", rsh, str(wheels()), str(GUEST), f"{machine.name}:"], 120)
    machine.sh(SET_UP, deadline_s=400)
    return device


def test_the_daemon_says_play_money_that_picamera2_itself_has_seen(
    seeing: Device, mosquitto: Broker, report: Report
) -> None:
    seeing.settle(QUIET, '[camera]\ndriver = "picamera"\n[model]\nbundle = "xts"\n', mosquitto.settings)
    seeing.restart()
    mosquitto.reader.wait_until(lambda: len(mosquitto.detections()) >= len(AMOUNTS), 240)
    assert [amount for _, amount in mosquitto.detections()][: len(AMOUNTS)] == AMOUNTS
    seeing.machine.until(lambda: seeing.hears(f"{AMOUNTS[-1]} play crowns"), 60, "the last amount is said")
    assert all(seeing.hears(f"{amount} play crowns") for amount in AMOUNTS)
    assert not seeing.hears("200 play crowns")
    log = seeing.machine.says("journalctl -b -u saynote --no-pager")
    assert "NV12" in log, "libcamera said what the camera gives"
    peak = re.findall(r"VmHWM:\s+(\d+)", seeing.machine.says(f"cat /proc/{seeing.pid()}/status"))[0]
    report(f"with picamera2 and libcamera: {int(peak) / 1024:.0f} MB at most, {seeing.status()}")
    seeing.machine.sh("systemctl stop saynote")
    ended = seeing.machine.says("systemctl show -P Result -P ExecMainStatus saynote")
    assert ended.split() == ["success", "0"], seeing.machine.story()
    assert seeing.hears("goodbye")


def test_what_its_driver_reads_decides_as_the_pictures_do_that_were_shown(seeing: Device) -> None:
    """On a computer of any speed: what was read is replayed."""
    seeing.machine.sh("systemctl stop saynote")
    shown = seeing.machine.says(f"ls {HOME}/frames | wc -l")
    python = COMMAND.partition(" ")[0]
    read = seeing.machine.sh(
        f"{python} {HOME}/camera_recording.py /tmp/seen {shown} 2>/dev/null", deadline_s=600
    ).stdout
    assert int(read) > int(shown) / 2
    said = seeing.machine.sh(f"{python} -m edge replay /tmp/seen --bundle xts", deadline_s=600).stdout
    assert re.findall(r"\.png: (\d+) play crowns", said) == AMOUNTS, said


def test_the_doctor_and_a_snapshot_take_a_picture_through_it(seeing: Device) -> None:
    seeing.settle(QUIET, '[camera]\ndriver = "picamera"\n[model]\nbundle = "xts"\n')
    seeing.machine.sh("systemctl stop saynote")
    ask = f"cd /tmp; runuser -u saynote -- {COMMAND} {{}} --config /etc/saynote/edge.toml 2>/dev/null"
    findings = json.loads(seeing.machine.sh(ask.format("doctor --quiet --json"), check=False).stdout)["findings"]
    camera = next(finding for finding in findings if finding["part"] == "camera")
    # Too few pictures a second, it may say: on a computer that does much else.
    assert camera["state"] in ("ok", "warning"), camera
    assert "picamera: 640 x 480" in camera["found"], camera
    assert seeing.machine.says(ask.format("snapshot"))
