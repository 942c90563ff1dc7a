"""Every module of the device and of training has tests in the file of its name, or where they are is said here."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PROJECT = TESTS.parent

# Below the project: below `tests/`. What serves a port is tested with the others that serve it, what is called by a
# person where persons call, what only helps another where that is tested.
ELSEWHERE = {
    "edge/cli.py": ["edge/test_main.py"],
    "edge/commands/captures.py": ["edge/test_main.py"],
    "edge/commands/check.py": ["edge/test_main.py"],
    "edge/commands/examination.py": ["edge/commands/test_doctor.py"],
    "edge/commands/choosing.py": ["edge/test_tuning.py"],
    "edge/commands/run.py": ["edge/test_main.py"],
    "edge/commands/say.py": ["edge/test_main.py"],
    "edge/commands/shell.py": ["edge/test_main.py"],
    "edge/exchange.py": ["edge/test_app.py", "edge/test_succession.py"],
    "edge/folders.py": ["edge/test_app.py"],
    "edge/places.py": ["edge/test_succession.py"],
    "edge/confined.py": ["edge/test_installer.py", "edge/test_companion.py"],
    "edge/core/classify.py": ["edge/core/test_stages.py"],
    "edge/core/messages.py": ["edge/test_hub.py", "edge/core/test_wire.py"],
    "edge/core/payloads.py": ["edge/core/test_wire.py", "contracts/test_telemetry_doc.py"],
    "edge/core/topics.py": ["edge/core/test_wire.py"],
    "edge/core/observe.py": ["edge/core/test_stages.py"],
    "edge/core/pictureheader.py": ["edge/core/test_picture.py"],
    "edge/core/preprocess.py": ["edge/core/test_stages.py"],
    "edge/core/scene.py": ["edge/core/test_stages.py"],
    "edge/drivers/audio.py": ["ports/test_speaker.py"],
    "edge/drivers/board.py": ["ports/test_board.py"],
    "edge/drivers/clock.py": ["ports/test_clock.py"],
    "edge/drivers/door.py": ["edge/drivers/test_http.py", "edge/drivers/test_admission.py"],
    "edge/drivers/espeak.py": ["ports/test_synth.py"],
    "edge/drivers/fake.py": ["ports/test_camera.py", "ports/test_speaker.py", "ports/test_broker.py"],
    "edge/drivers/keyboard.py": ["ports/test_button.py"],
    "edge/drivers/mqtt.py": ["ports/test_broker.py", "e2e/test_mqtt.py"],
    "edge/drivers/mqtt_client.py": ["ports/test_broker.py"],
    "edge/drivers/mqtt_link.py": ["ports/test_broker.py"],
    "edge/drivers/resample.py": ["ports/test_speaker.py"],
    "edge/drivers/systemd.py": ["ports/test_supervisor.py"],
    "edge/drivers/tflite.py": ["ports/test_engine.py"],
    "edge/drivers/wav.py": ["ports/test_speaker.py"],
    "edge/outlets/bulletin.py": ["edge/outlets/test_telemetry.py"],
    "edge/outlets/diary.py": ["edge/outlets/test_telemetry.py"],
    "edge/outlets/publisher.py": ["edge/outlets/test_telemetry.py"],
    "edge/outlets/rows.py": ["edge/outlets/test_outbox.py"],
    "edge/loading.py": ["edge/test_app.py", "edge/test_installer.py"],
    "edge/shadowing.py": ["edge/test_succession.py"],
    "edge/settings.py": ["edge/test_config.py", "deploy/test_example_config.py"],
    "edge/ports.py": ["ports/test_camera.py", "ports/test_speaker.py", "ports/test_broker.py"],
    "training/check/condition.py": ["training/check/test_look.py"],
    "training/check/disagreement.py": ["training/check/test_look.py"],
    "training/check/findings.py": ["training/check/test_look.py"],
    "training/check/lookalikes.py": ["training/check/test_look.py"],
    "training/check/page.py": ["training/check/test_look.py"],
    "training/cli/app.py": ["training/test_main.py", "training/learn/test_settings.py"],
    "training/cli/films.py": ["training/measure/test_haste.py", "training/measure/test_films.py"],
    "training/cli/learning.py": ["training/test_main.py", "training/test_train.py", "training/test_sweep.py"],
    "training/cli/looking.py": ["training/check/test_look.py", "training/test_main.py"],
    "training/cli/measuring.py": [
        "training/test_main.py",
        "training/measure/test_compare.py",
        "training/measure/test_films.py",
        "training/measure/test_haste.py",
    ],
    "training/cli/options.py": ["training/learn/test_settings.py"],
    "training/cli/phone.py": ["training/phone/test_refusals.py", "training/phone/test_pack.py"],
    "training/cli/progress.py": ["training/test_main.py"],
    "training/cli/tables.py": ["training/test_main.py", "training/measure/test_compare.py"],
    "training/errors.py": ["training/test_main.py"],
    "training/learn/export.py": ["training/test_train.py"],
    "training/learn/files.py": ["training/test_before.py"],
    "training/learn/modelfile.py": ["training/measure/test_cost.py", "training/learn/test_warmstart.py"],
    "training/learn/network.py": ["training/learn/test_fit.py"],
    "training/measure/stories.py": ["training/measure/test_films.py", "training/measure/test_reels.py"],
    "training/phone/agreement.py": ["training/phone/test_pack.py"],
    "training/phone/coreml.py": ["training/phone/test_pack.py"],
    "training/phone/engines.py": ["training/phone/test_pack.py"],
    "training/phone/facts.py": ["training/phone/test_pack.py"],
    "training/phone/onnxfile.py": ["training/phone/test_pack.py"],
    "training/phone/stories.py": ["training/phone/test_decisions.py"],
    "training/onray.py": ["training/test_sweep.py"],
    "training/photos/manifest.py": ["training/photos/test_dataset.py"],
    "training/playmoney/engraving.py": ["training/test_playmoney.py"],
    "training/playmoney/notes.py": ["training/test_playmoney.py"],
    "training/playmoney/plates.py": ["training/test_playmoney.py"],
    "training/playmoney/recording.py": ["replay/test_play_money.py", "training/test_train.py"],
    "training/playmoney/scenes.py": ["training/test_playmoney.py"],
    "training/playmoney/vignettes.py": ["training/test_playmoney.py"],
    "training/show/drawings.py": ["training/measure/test_compare.py"],
    "training/show/markup.py": ["training/show/test_report.py"],
    "training/synth/chances.py": ["training/synth/test_compose.py", "contracts/test_golden.py"],
    "training/synth/placement.py": ["training/synth/test_compose.py", "contracts/test_golden.py"],
    "training/synth/recipe.py": ["training/synth/test_compose.py", "training/synth/test_sheet.py"],
    "training/synth/surroundings.py": ["training/synth/test_compose.py", "contracts/test_golden.py"],
    "training/together.py": ["training/test_sweep.py"],
    "training/variants.py": ["training/test_sweep.py"],
}


def has_its_own(module: Path) -> bool:
    return (TESTS / module.parent / f"test_{module.stem.strip('_')}.py").is_file()


@pytest.mark.parametrize("package", ["edge", "training"])
def test_every_module_has_tests_of_its_own_or_is_named_above(package: str) -> None:
    files = (PROJECT / package).rglob("*.py")
    modules = [path.relative_to(PROJECT) for path in files if path.name != "__init__.py"]
    assert {str(module) for module in modules if not has_its_own(module)} <= set(ELSEWHERE)


def test_what_is_named_above_is_there() -> None:
    for module, files in ELSEWHERE.items():
        assert (PROJECT / module).is_file()
        assert not has_its_own(Path(module)), module
        assert files, module
        assert all((TESTS / file).is_file() for file in files), (module, files)
