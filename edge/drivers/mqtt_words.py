"""Owns the sentence that says why there is no connection to the broker, for the journal and the doctor alike.

It knows the errors of sockets and of TLS and the reason codes of MQTT; it must not know who connects.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl

from edge.settings import MqttConfig

MAX_TEXT = 200  # characters of another's text that are passed on

# OpenSSL's numbers for what is wrong with a certificate
EXPIRED, NOT_YET_VALID, OTHER_NAME, OTHER_ADDRESS = 10, 9, 62, 64

UNSUPPORTED_VERSION, BAD_NAME, BAD_PASSWORD, NOT_AUTHORISED, TAKEN_OVER = 0x84, 0x85, 0x86, 0x87, 0x8E


def plain(text: str) -> str:
    """`text` of an unknown author, on one line and of no great length."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_TEXT])


def where(config: MqttConfig) -> str:
    """The broker's address as it stands in the configuration."""
    return plain(f"{config.host}:{config.port}")


def unreachable(error: Exception, config: MqttConfig) -> str:
    """Why no connection came about, or why it broke."""
    if isinstance(error, ssl.SSLError):
        return _tls(error, config)
    if isinstance(error, socket.gaierror):
        return _name(error, config)
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused): is the broker running, and mqtt.port right?"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError) and not str(error):
        return "it broke the connection off"
    if isinstance(error, TimeoutError):
        return "no answer: check mqtt.host, and any firewall on the way"
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
        return f"there is no way to it ({error.strerror}): is this device on the network?"
    if isinstance(error, UnicodeError):
        return f"mqtt.host = {_quoted(config.host)} is no name that could be looked up"
    if isinstance(error, OSError) and error.strerror:
        return plain(error.strerror)
    return plain(str(error)) or type(error).__name__


def _name(error: socket.gaierror, config: MqttConfig) -> str:
    host = config.host
    if "://" in host:
        return f"mqtt.host = {_quoted(host)} holds more than a name: leave out {_quoted(host.split('://')[0] + '://')}"
    if "/" in host or re.search(r"[^:]:\d+$", host):
        return f"mqtt.host = {_quoted(host)} holds more than a name: the port belongs into mqtt.port"
    if error.errno == socket.EAI_AGAIN:
        return f"the name {_quoted(host)} cannot be looked up now: is this device on the network?"
    return f"there is no address for the name {_quoted(host)}: check mqtt.host"


def _tls(error: ssl.SSLError, config: MqttConfig) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, config)
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        return "it does not speak TLS there: set mqtt.tls = false, or mqtt.port to its port with TLS"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "it ends the connection while TLS begins: does that port speak TLS?"
    if "CERTIFICATE" in reason or "ALERT_UNKNOWN_CA" in reason:
        return _own_certificate(plain(reason), config)
    return f"TLS fails: {plain(reason or str(error))}"


def _own_certificate(reason: str, config: MqttConfig) -> str:
    if not config.cert_file:
        return f"it wants a certificate of this device ({reason}): set mqtt.cert_file and mqtt.key_file"
    return f"it does not take this device's certificate ({reason}): check mqtt.cert_file, and the clock"


def _certificate(error: ssl.SSLCertVerificationError, config: MqttConfig) -> str:
    told = f"certificate verify failed: {plain(error.verify_message)}"
    if error.verify_code == NOT_YET_VALID:
        return f"its certificate is not valid yet by this device's clock ({told}): is the clock right?"
    if error.verify_code == EXPIRED:
        return f"its certificate has expired ({told}), or this device's clock is wrong"
    if error.verify_code in (OTHER_NAME, OTHER_ADDRESS):
        return f"its certificate is for another name than mqtt.host = {_quoted(config.host)} ({told})"
    return f"its certificate is not trusted ({told}): check mqtt.ca_file"


def refused(value: int, name: str, config: MqttConfig) -> str:
    """Why the broker does not let us in: the number and the name of its reason, in the terms of MQTT 5."""
    if value == UNSUPPORTED_VERSION:
        other = {"3.1.1": "5", "5": "3.1.1"}[config.protocol]
        return f'it does not take MQTT {config.protocol}: set mqtt.protocol = "{other}"'
    if value == BAD_PASSWORD:
        return "bad user name or password: check mqtt.username and the file mqtt-password"
    if value == NOT_AUTHORISED:
        return "not authorised: check mqtt.username, the file mqtt-password and the broker's list of who may come in"
    if value == BAD_NAME:
        return "it does not take this device's name at the broker: check the broker's own log"
    return plain(name).lower()


def silent(config: MqttConfig) -> str:
    """Something takes the connection and says nothing."""
    return f"it takes the connection and does not answer: {_tls_advice(config)}"


def closed_at_once(config: MqttConfig) -> str:
    """Something takes the connection and ends it before it has answered."""
    other = {"3.1.1": "5", "5": "3.1.1"}[config.protocol]
    return (
        f"it ends the connection before it has answered: {_tls_advice(config)} "
        f'Or it does not take MQTT {config.protocol}: try mqtt.protocol = "{other}"'
    )


def _tls_advice(config: MqttConfig) -> str:
    return f"is mqtt.tls = {str(config.tls).lower()} right for port {config.port}?"


def taken_over(client_id: str, *, certain: bool) -> str:
    """Two devices of one name throw each other out; MQTT 3.1.1 does not say so, the broker only hangs up."""
    seems = "" if certain else "it seems that "
    return (
        f"{seems}another device uses the same name at the broker ({client_id}), and each throws the other out: "
        "give each a mqtt.device_id of its own (a copied card keeps the name of the first)"
    )


def _quoted(text: str) -> str:
    return '"' + plain(text) + '"'
