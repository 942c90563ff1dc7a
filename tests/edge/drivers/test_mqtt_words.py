from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from edge.drivers import mqtt_words as words
from edge.settings import MqttConfig

CONFIG = MqttConfig(host="broker.example", port=8883)


def certificate(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {message}")
    error.verify_code, error.verify_message = code, message
    return error


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something long")
    error.reason = reason
    return error


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


SENTENCES: list[tuple[Exception, str]] = [
    (system(errno.ECONNREFUSED), "nothing listens there"),
    (system(errno.ENETUNREACH), "is this device on the network?"),
    (system(errno.EHOSTUNREACH), "is this device on the network?"),
    (TimeoutError("timed out"), "no answer"),
    (ConnectionResetError(), "broke the connection off"),
    (socket.gaierror(socket.EAI_NONAME, "x"), 'no address for the name "broker.example"'),
    (socket.gaierror(socket.EAI_AGAIN, "x"), "cannot be looked up now"),
    (UnicodeError("label empty or too long"), "is no name that could be looked up"),
    (certificate(9, "certificate is not yet valid"), "is the clock right?"),
    (certificate(10, "certificate has expired"), "has expired"),
    (certificate(18, "self-signed certificate"), "is not trusted (certificate verify failed: self-signed certificate)"),
    (certificate(62, "Hostname mismatch"), "for another name than mqtt.host"),
    (tls("WRONG_VERSION_NUMBER"), "does not speak TLS there"),
    (tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "wants a certificate of this device"),
    (tls("SSLV3_ALERT_HANDSHAKE_FAILURE"), "TLS fails: SSLV3_ALERT_HANDSHAKE_FAILURE"),
    (tls("NO_CIPHERS_AVAILABLE"), "TLS fails: NO_CIPHERS_AVAILABLE"),
    (ssl.SSLEOFError(8, "EOF occurred"), "does that port speak TLS?"),
    (ValueError("embedded null byte"), "embedded null byte"),
    (RuntimeError(), "RuntimeError"),
]


@pytest.mark.parametrize(("error", "expected"), SENTENCES, ids=lambda value: str(value)[:40])
def test_each_cause_has_a_sentence_of_its_own(error: Exception, expected: str) -> None:
    assert expected in words.unreachable(error, CONFIG)


@pytest.mark.parametrize("reason", ["TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_EXPIRED"])
def test_a_certificate_of_ours_that_is_not_taken_is_named(reason: str) -> None:
    config = MqttConfig(host="broker.example", port=8883, tls=True, cert_file="/own.pem", key_file="/own.key")
    assert f"does not take this device's certificate ({reason}): check mqtt.cert_file" in words.unreachable(
        tls(reason), config
    )


def test_what_others_wrote_stays_on_one_line_and_short() -> None:
    sentence = words.unreachable(ValueError("a\nb\x1b[31m" + "x" * 1000), CONFIG)
    assert sentence.isprintable()
    assert len(sentence) <= words.MAX_TEXT
    assert words.where(MqttConfig(host="a\nMay 1 saynote: all is well", port=1)).isprintable()
