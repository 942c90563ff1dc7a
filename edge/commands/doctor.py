"""Owns the examination as a command: who is examined, how the findings are shown and spoken, and the exit code."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from edge import __version__, credentials, folders, selection, tuning
from edge.commands.examination import Finding, Patient, State, examine
from edge.commands.shell import as_owner_of, put
from edge.config import DEFAULT, read_from
from edge.core.errors import EXIT_OK, ConfigError, EdgeError, HardwareError, Reason
from edge.core.speech import Speech
from edge.devices import account_remarks, broker_password, parts, say
from edge.drivers import access, clock, mqtt, systemd
from edge.settings import Config

PROBLEMS = (State.FAULT, State.WARNING)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--quiet", action="store_true", help="make no sound")
    parser.add_argument("--json", action="store_true", help="print the findings for a machine to read")


def run(options: argparse.Namespace) -> int:
    """Try every part; 0 where all is well or nearly so, else the code of the first fault."""
    # The installer has a new release look at the device beside the old one: what the service cannot load is told there.
    importlib.import_module("edge.commands.run")
    # What a driver logs on the way stands in the findings as well.
    logging.getLogger("edge").setLevel(logging.DEBUG if options.verbose else logging.CRITICAL)
    patient = _patient(options)
    findings = []
    for finding in examine(patient):
        findings.append(finding)
        if not options.json:
            put(row(finding))
    said = summary(patient, findings)
    put(msgspec.json.encode(as_data(findings, said)).decode() if options.json else f"\n{said}")
    if not options.quiet:
        with contextlib.suppress(EdgeError):  # a voice that fails is among the findings
            speak(patient, said)
    return exit_code(findings)


def _patient(options: argparse.Namespace) -> Patient:
    reading = read_from(options.config)
    config, source = reading.config, str(options.config or DEFAULT)
    if options.config is None and not DEFAULT.exists():
        source = f"the defaults, since there is no {DEFAULT}"
    service = access.service_account()
    state = folders.SERVICE_STATE if service is not None and folders.SERVICE_STATE.is_dir() else folders.state_folder()
    return Patient(
        config=config,
        source=source,
        mistakes=tuple(reading.problems),
        remarks=(*reading.remarks, *credentials.remarks(), *_account_remarks(config)),
        devices=parts(tuning.applied(config, state, selection.digests(config))),
        state=state,
        reading=lambda: as_owner_of(state),
        account=service or access.own_account(),
        service_runs=systemd.service_runs(),
        synchronised=clock.was_set,
        probe_broker=lambda: mqtt.probe(config.mqtt, _password()),
        quiet=options.quiet,
    )


def _account_remarks(config: Config) -> list[str]:
    try:
        return account_remarks(config, _password())
    except HardwareError:  # whether there is a password, only root may know
        return []


def _password() -> str | None:
    return broker_password() or _password_of_the_service()


def _password_of_the_service() -> str | None:
    """What systemd hands to the service; only root may read it, and only the doctor looks."""
    try:
        return credentials.from_file(credentials.OWNERS / credentials.PASSWORD)[0]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HardwareError("broker", Reason.DENIED, "only root may read the broker's password") from error


def exit_code(findings: Sequence[Finding]) -> int:
    """0 where all is well or nearly so, else the code of the first fault."""
    return next((finding.exit_code for finding in findings if finding.state is State.FAULT), EXIT_OK)


def summary(patient: Patient, findings: Sequence[Finding]) -> str:
    """What is said of it all; in English where the configured language is at fault."""
    problems = [finding for state in PROBLEMS for finding in findings if finding.state is state]
    first = problems[0].fault if problems else None
    try:
        speech = Speech(patient.config.voice.language, "XTS")
    except ConfigError:
        speech = Speech("en", "XTS")
    return speech.checkup(len(problems), first)


def speak(patient: Patient, text: str) -> None:
    """Say `text` through the device's own voice. Raises HardwareError where it has none."""
    say(patient.devices.synth(), patient.devices.speaker, text, patient.config.voice.language)


def row(finding: Finding) -> str:
    """A finding as lines of a table that reads well aloud."""
    line = f"{finding.part:14}{finding.state.value:9}{finding.found}"
    return f"{line}\n{'':23}To do: {finding.to_do}" if finding.to_do else line


def as_data(findings: Sequence[Finding], said: str) -> dict[str, Any]:
    """The findings for machines; the form is explained in docs/operations.md."""
    return {
        "saynote": __version__,
        "exit_code": exit_code(findings),
        "summary": said,
        "findings": [
            {
                "part": finding.part,
                "state": finding.state.value,
                "found": finding.found,
                "to_do": finding.to_do,
                "exit_code": finding.exit_code,
            }
            for finding in findings
        ],
    }
