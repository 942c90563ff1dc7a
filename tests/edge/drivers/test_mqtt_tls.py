"""What is wrong with the files of TLS is said, each by the name of its setting."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edge.core.errors import ConfigError
from edge.drivers import mqtt_tls
from edge.settings import MqttConfig
from tests.certificates import authority, encrypted, vouched

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority(folder)
    for name in ("device", "other"):
        vouched(folder, name)
    encrypted(folder / "device.key")
    (folder / "rubbish").write_bytes(bytes(range(256)) * 10)
    (folder / "empty").touch()
    (folder / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (folder / "broken-key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    os.mkfifo(folder / "pipe")
    with (folder / "huge").open("wb") as file:
        file.truncate(5 << 30)
    return folder


def refused(**settings: str | Path) -> str:
    files = {key: str(file) for key, file in settings.items()}
    with pytest.raises(ConfigError) as told:
        mqtt_tls.context(MqttConfig(enabled=True, tls=True, **files))
    [sentence] = told.value.problems
    return sentence


def test_without_tls_no_file_is_looked_at() -> None:
    assert mqtt_tls.context(MqttConfig(enabled=True, ca_file="/gone", cert_file="/gone", key_file="/gone")) is None


def test_a_certificate_with_its_key_and_an_authority_make_a_context(made: Path) -> None:
    files = {"ca_file": made / "ca.pem", "cert_file": made / "device.pem", "key_file": made / "device.key"}
    context = mqtt_tls.context(MqttConfig(tls=True, **{key: str(file) for key, file in files.items()}))
    assert context is not None
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("gone.pem", "there is no such file"),
        (".", "it is a folder"),
        ("pipe", "it is a device or a pipe"),
        ("huge", "it is larger than 4 MB"),
        ("a\0b", "zero byte"),
        ("rubbish", ""),
        ("empty", ""),
        ("broken", ""),
        ("broken-key", ""),
        ("device.csr", ""),
    ],
)
def test_whatever_else_stands_in_place_of_a_file_is_one_sentence(made: Path, key: str, file: str, words: str) -> None:
    right = {"cert_file": made / "device.pem", "key_file": made / "device.key"}
    sentence = refused(**{**right, key: made / file})
    assert sentence.startswith(f"mqtt.{key} = ")
    assert words in sentence
    assert sentence.isprintable()


@pytest.mark.parametrize(
    ("key_file", "words"),
    [
        ("other.key", "it does not belong to the certificate in mqtt.cert_file"),
        ("encrypted.key", "the key is encrypted"),
        ("device.pem", "there is no private key in it"),
    ],
)
def test_a_key_that_does_not_fit_or_is_locked_or_is_none_is_named(made: Path, key_file: str, words: str) -> None:
    sentence = refused(cert_file=made / "device.pem", key_file=made / key_file)
    assert re.match(rf"mqtt\.key_file = '.*{re.escape(key_file)}' cannot be used: {words}", sentence)


def test_a_key_in_the_certificate_s_place_is_no_certificate(made: Path) -> None:
    sentence = refused(cert_file=made / "device.key", key_file=made / "device.key")
    assert sentence.startswith("mqtt.cert_file = ")
    assert "there is no certificate in it" in sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_may_not_be_read_is_named(made: Path) -> None:
    locked = made / "locked.key"
    locked.write_bytes((made / "device.key").read_bytes())
    locked.chmod(0)
    assert "Permission denied" in refused(cert_file=made / "device.pem", key_file=locked)
