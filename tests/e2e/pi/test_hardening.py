"""The unit's sandbox as the daemon meets it: a probe runs in it before the daemon does, and says what it could do."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.e2e.pi.conftest import Report
from tests.e2e.pi.device import ON_PLAY_MONEY, QUIET, Broker, Device
from tests.e2e.pi.rootfs import PROJECT

UNIT = (PROJECT / "systemd" / "saynote.service").read_text()
# As the kernel calls them there; nothing in a box answers behind them, so they open with ENXIO or ENODEV.
NODES = {"video0": "c 81 0", "media0": "c 250 0", "snd/pcmC9D0p": "c 116 16", "gpiochip0": "c 254 0"}
FOLDERS = ["/", "/etc", "/opt/saynote", "/usr", "/home", "/var/lib", "/var/lib/saynote", "/run/saynote"]
PROBE = r"""
import ctypes, errno, json, os, resource, socket
def outcome(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "yes"
def write(folder):
    path = os.path.join(folder, "probe")
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
def unshare():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) != 0:  # CLONE_NEWUSER, which needs no right
        raise OSError(ctypes.get_errno(), "")
def device(name):
    os.close(os.open("/dev/" + name, os.O_RDWR | os.O_NONBLOCK))
found = {
    "internet": outcome(lambda: socket.socket(socket.AF_INET).close()),
    "internet6": outcome(lambda: socket.socket(socket.AF_INET6).close()),
    "unix": outcome(lambda: socket.socket(socket.AF_UNIX).close()),
    "netlink": outcome(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()),
    "write": {folder: outcome(lambda: write(folder)) for folder in FOLDERS},
    "boot": outcome(lambda: os.listdir("/boot")),
    "shadow": outcome(lambda: open("/etc/shadow")),
    "namespace": outcome(unshare),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "nodes": {name: outcome(lambda: device(name)) for name in NODES},
}
with open(os.environ["RUNTIME_DIRECTORY"] + "/found", "w") as file:
    json.dump(found, file)
"""


def probe(device: Device) -> dict[str, Any]:
    """What the daemon's sandbox lets through at its next start."""
    script = f"NODES = {list(NODES)}\nFOLDERS = {FOLDERS}\n{PROBE}"
    text = base64.b64encode(script.encode()).decode()
    device.machine.sh(
        f"echo {text} | base64 -d >/usr/local/probe.py; mkdir -p /etc/systemd/system/saynote.service.d\n"
        "printf '[Service]\\nExecStartPre=/usr/bin/python3 /usr/local/probe.py\\n' "
        ">/etc/systemd/system/saynote.service.d/probe.conf; systemctl daemon-reload"
    )
    device.restart()
    found: dict[str, Any] = json.loads(device.machine.says("cat /run/saynote/found"))
    return found


def test_it_reaches_no_network_until_its_settings_want_one(device: Device, mosquitto: Broker) -> None:
    closed = probe(device)
    assert (closed["internet"], closed["internet6"]) == ("EAFNOSUPPORT", "EAFNOSUPPORT")
    assert (closed["unix"], closed["netlink"]) == ("yes", "yes")
    device.settle(QUIET, mosquitto.settings)
    assert probe(device)["internet"] == "yes"
    mosquitto.reader.wait_until(lambda: any(topic.endswith("/availability") for topic, *_ in mosquitto.reader.messages))
    device.settle(QUIET)
    assert probe(device)["internet"] == "EAFNOSUPPORT"


def test_the_network_is_open_from_the_first_second_after_switching_on(device: Device, mosquitto: Broker) -> None:
    device.settle(QUIET, mosquitto.settings)
    probe(device)
    device.machine.switch_off()
    device.machine.boot()
    device.wait_until_ready()
    assert json.loads(device.machine.says("cat /run/saynote/found"))["internet"] == "yes"
    assert "NRestarts=0" in device.machine.says("systemctl show -p NRestarts saynote")


def test_the_live_view_answers_when_it_is_wanted_and_only_then(device: Device) -> None:
    ask = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8737), 5)' 2>&1 | grep -q . || echo open"
    assert device.machine.says(ask) == ""
    device.settle(QUIET, ON_PLAY_MONEY, "[web]\nenabled = true\n")
    device.restart()
    device.machine.until(lambda: device.machine.says(ask) == "open", 60, "the live view answers")
    drop_in = device.machine.says("cat /run/systemd/system/saynote.service.d/network.conf")
    assert "IPAddressAllow=localhost" in drop_in
    assert "IPAddressDeny=" not in drop_in


def test_it_writes_its_state_and_nothing_else(device: Device) -> None:
    found = probe(device)
    assert {folder for folder, outcome in found["write"].items() if outcome == "yes"} == {
        "/var/lib/saynote",
        "/run/saynote",
    }
    assert found["boot"] in ("EACCES", "EPERM")
    assert found["shadow"] in ("EACCES", "EPERM")
    assert found["namespace"] == "EPERM"
    assert found["core"] == 0


def test_camera_sound_and_pins_are_not_hidden_from_it(device: Device) -> None:
    made = "\n".join(f"mkdir -p /dev/snd; mknod -m 666 /dev/{name} {kind}" for name, kind in NODES.items())
    device.machine.sh(made)
    assert {
        name: outcome in ("yes", "ENXIO", "ENODEV") for name, outcome in probe(device)["nodes"].items()
    } == dict.fromkeys(NODES, True)


def test_what_it_takes_stays_far_below_its_limits(device: Device, mosquitto: Broker, report: Report) -> None:
    """With everything switched on and the rupees' model."""
    rupees = ON_PLAY_MONEY.replace('bundle = "xts"', 'bundle = "inr"')
    device.settle(QUIET, rupees, mosquitto.settings, "[web]\nenabled = true\n[capture]\nenabled = true\n")
    device.restart()
    device.machine.until(lambda: "pictures/s" in device.status() and device.status()[:3] != "0.0", 90, "it sees")
    device.machine.until(lambda: uptime_s(device) > 45, 120, "it has worked for a while")
    status = device.machine.says(f"cat /proc/{device.pid()}/status")
    peak_mb = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    threads = int(re.findall(r"Threads:\s+(\d+)", status)[0])
    report(f"all switched on, the rupees' model: {peak_mb:.0f} MB at most, {threads} threads")
    limit_mb, tasks = (int(re.findall(rf"^{name}=(\d+)", UNIT, re.M)[0]) for name in ("MemoryMax", "TasksMax"))
    assert peak_mb * 1.5 < limit_mb
    assert threads * 1.5 < tasks


def uptime_s(device: Device) -> float:
    words = device.machine.says(
        "cut -d' ' -f1 /proc/uptime; systemctl show -P ActiveEnterTimestampMonotonic saynote"
    ).split()
    return float(words[0]) - int(words[1]) / 1e6


def test_it_runs_from_a_root_that_cannot_be_written_under_an_overlay(device: Device) -> None:
    device.machine.switch_off()
    before = {str(path) for path in device.machine.root.joinpath("var/lib/saynote").rglob("*")}
    device.machine.boot("--volatile=overlay")
    device.wait_until_ready()
    device.machine.until(lambda: device.says("ready"), 60, "it says ready")
    device.machine.sh("touch /root/of-this-hour")
    device.machine.switch_off()
    assert not device.machine.root.joinpath("root/of-this-hour").exists()
    assert {str(path) for path in device.machine.root.joinpath("var/lib/saynote").rglob("*")} == before
    device.machine.boot("--volatile=overlay")
    device.wait_until_ready()
