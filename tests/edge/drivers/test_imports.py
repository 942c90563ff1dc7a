"""What holds for all driver modules together."""

from __future__ import annotations

import subprocess
import sys

import edge.drivers

VENDORS = ("tflite_runtime", "ai_edge_litert", "espeakng", "sounddevice", "gpiozero", "lgpio", "picamera2", "paho")
CODE = f"""
import importlib, logging, pkgutil, sys, threading
sys.modules.update(dict.fromkeys({VENDORS!r}))
import edge.drivers
for module in pkgutil.iter_modules(edge.drivers.__path__):
    importlib.import_module("edge.drivers." + module.name)
    sys.stdout.write(module.name + " ")
assert threading.active_count() == 1
assert not logging.getLogger().handlers
"""


def test_every_driver_can_be_imported_where_its_package_is_not_installed() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {"picamera", "gpio", "tflite", "mqtt", "audio"} <= set(done.stdout.split())


def test_a_missing_package_is_named_with_what_to_install() -> None:
    code = f"""
import sys
sys.modules.update(dict.fromkeys({VENDORS!r}))
from edge import settings
from edge.core.errors import HardwareError, Reason
from edge.drivers import audio, espeak, mqtt, picamera
for make in (
    lambda: picamera.PicameraCamera(settings.CameraConfig()),
    lambda: audio.AudioSpeaker(settings.VoiceConfig()),
    lambda: espeak.EspeakSynth(settings.VoiceConfig()),
    lambda: mqtt.PahoBroker(settings.MqttConfig(), None, "a", b""),
):
    try:
        make()
    except HardwareError as error:
        assert error.reason is Reason.NOT_INSTALLED, error
        assert "install it with" in error.detail
        sys.stdout.write(error.device + " ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["camera", "speaker", "speech", "broker"]


def test_this_package_says_what_it_owns() -> None:
    assert edge.drivers.__doc__
