"""Owns what TLS with the broker is made of: the authorities to believe and this device's own certificate with its key.

Whatever is wrong with a file is one sentence that names its setting, a key that wants a password too: nobody is there
to type it. It must not know of connections.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from edge.core import intake
from edge.core.errors import ConfigError
from edge.settings import MqttConfig

FILE_MOST_BYTES = 4 << 20  # ten times all authorities of a system
MISMATCH = "KEY_VALUES_MISMATCH"
TOO_WEAK = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK")  # of certificates, by OpenSSL's level


def context(config: MqttConfig) -> ssl.SSLContext | None:
    """What to connect with, None without TLS; ConfigError names the setting whose file cannot be used."""
    if not config.tls:
        return None
    made = _trusting(config.ca_file)
    if config.cert_file and config.key_file:
        _identify(made, config.cert_file, config.key_file)
    return made


def _trusting(ca_file: str) -> ssl.SSLContext:
    if ca_file:
        _read("ca_file", ca_file)
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as error:
        raise _unusable("ca_file", ca_file, _reason(error)) from error


def _identify(made: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    _read("cert_file", cert_file)
    _read("key_file", key_file)
    try:
        # OpenSSL says the same of a broken certificate and of a broken key, so the first is looked at by itself.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert_file)
    except (OSError, ValueError) as error:
        raise _unusable("cert_file", cert_file, f"there is no certificate in it ({_reason(error)})") from error
    try:
        made.load_cert_chain(cert_file, key_file, password=lambda: _refuse_password(key_file))
    except (OSError, ValueError) as error:
        reason = _reason(error)
        if reason == MISMATCH:
            why = f"it does not belong to the certificate in mqtt.cert_file = {cert_file!r}"
            raise _unusable("key_file", key_file, why) from error
        if reason in TOO_WEAK:
            raise _unusable("cert_file", cert_file, f"it is too weak ({reason})") from error
        raise _unusable("key_file", key_file, f"there is no private key in it ({reason})") from error


def _refuse_password(key_file: str) -> str:
    why = "the key is encrypted, and nobody is there to type its password; openssl pkey takes it off"
    raise _unusable("key_file", key_file, why)


def _read(key: str, file: str) -> None:
    try:
        intake.read(Path(file), FILE_MOST_BYTES)
    except FileNotFoundError as error:
        raise _unusable(key, file, "there is no such file") from error
    except OSError as error:
        raise _unusable(key, file, str(error.strerror or error)) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def _unusable(key: str, file: str, why: str) -> ConfigError:
    return ConfigError([f"mqtt.{key} = {file!r} cannot be used: {why}"])
