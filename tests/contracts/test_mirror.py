"""Every module of the device has its tests in the file of its name, or they are named here."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
EDGE = TESTS.parent / "edge"

# Below `edge/`: below `tests/`. What serves a port is tested with the others that serve it, what is called by a person
# where persons call.
ELSEWHERE = {
    "commands/captures.py": ["edge/test_main.py"],
    "commands/check.py": ["edge/test_main.py"],
    "commands/examination.py": ["edge/commands/test_doctor.py"],
    "commands/run.py": ["edge/test_main.py"],
    "commands/say.py": ["edge/test_main.py"],
    "commands/shell.py": ["edge/test_main.py"],
    "core/classify.py": ["edge/core/test_stages.py"],
    "core/messages.py": ["edge/test_hub.py", "edge/core/test_wire.py"],
    "core/observe.py": ["edge/core/test_stages.py"],
    "core/preprocess.py": ["edge/core/test_stages.py"],
    "core/scene.py": ["edge/core/test_stages.py"],
    "drivers/audio.py": ["ports/test_speaker.py"],
    "drivers/board.py": ["ports/test_board.py"],
    "drivers/clock.py": ["ports/test_clock.py"],
    "drivers/espeak.py": ["ports/test_synth.py"],
    "drivers/fake.py": ["ports/test_camera.py", "ports/test_speaker.py", "ports/test_broker.py"],
    "drivers/gpio.py": ["ports/test_button.py", "ports/test_pulser.py"],
    "drivers/keyboard.py": ["ports/test_button.py"],
    "drivers/mqtt.py": ["ports/test_broker.py", "e2e/test_mqtt.py"],
    "drivers/resample.py": ["ports/test_speaker.py"],
    "drivers/systemd.py": ["ports/test_supervisor.py"],
    "drivers/tflite.py": ["ports/test_engine.py"],
    "drivers/wav.py": ["ports/test_speaker.py"],
    "outlets/publisher.py": ["edge/outlets/test_telemetry.py"],
    "ports.py": ["ports/test_camera.py", "ports/test_speaker.py", "ports/test_broker.py"],
}


def has_its_own(module: Path) -> bool:
    return (TESTS / "edge" / module.parent / f"test_{module.stem.strip('_')}.py").is_file()


def test_every_module_has_tests_of_its_own_or_is_named_above() -> None:
    modules = [path.relative_to(EDGE) for path in EDGE.rglob("*.py") if path.name != "__init__.py"]
    assert {str(module) for module in modules if not has_its_own(module)} <= set(ELSEWHERE)


def test_what_is_named_above_is_there() -> None:
    for module, files in ELSEWHERE.items():
        assert (EDGE / module).is_file()
        assert files, module
        assert all((TESTS / file).is_file() for file in files), (module, files)
