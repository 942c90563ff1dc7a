"""Owns what is spoken without the daemon: a text, to hear whether it can be heard, or why the service has stopped."""

from __future__ import annotations

import argparse
import os

from edge.commands.shell import configured, tell
from edge.config import read_from
from edge.core.errors import EXIT_OK, EXIT_USAGE, BundleError, ConfigError, EdgeError
from edge.core.messages import Fault
from edge.core.speech import Speech
from edge.devices import open_speaker, open_synth, say
from edge.settings import Config, changed


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("text", nargs="?", default="")
    parser.add_argument("--fault", action="store_true", help="say why the service stopped, from $MONITOR_EXIT_STATUS")


def run(options: argparse.Namespace) -> int:
    """Speak and wait until it was heard. Raises ConfigError and HardwareError where that cannot be."""
    if options.fault:
        speak_reason(options, os.environ.get("MONITOR_EXIT_STATUS", ""))
        return EXIT_OK
    config = configured(options)
    if not options.text.strip():
        tell("say needs a text: saynote say 'Can you hear me?'")
        return EXIT_USAGE
    _speak(config, options.text)
    return EXIT_OK


def speak_reason(options: argparse.Namespace, status: str) -> None:
    """Say why it stops, by its exit code; in the default voice where the configured one is the mistake."""
    # What is right in the settings is kept: the sound card may well be, where a broker's name is not.
    config = read_from(options.config).config
    try:
        _speak(config, fault_sentence(config, status))
    except EdgeError:
        plain = changed(config, "voice", language=Config().voice.language, variant="")
        _speak(plain, fault_sentence(plain, status))


def fault_sentence(config: Config, status: str) -> str:
    """What the end with that exit code sounds like."""
    device = {str(ConfigError.exit_code): "config", str(BundleError.exit_code): "bundle"}.get(status, "")
    return Speech(config.voice.language, "XTS").fault(Fault(device, ""))


def _speak(config: Config, text: str) -> None:
    say(open_synth(config.voice), lambda: open_speaker(config.voice), text, config.voice.language)
