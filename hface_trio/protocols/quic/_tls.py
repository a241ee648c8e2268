"""TLS for QUIC: certificates, keys and authorities, read once and checked when a factory is made.

``aioquic`` has a TLS of its own, so a context of Python's ``ssl`` module is of no use here, and client certificates are
not asked for.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from typing import TextIO, cast

from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning

from ...errors import ConfigurationError
from ...models import ClientTLSConfig, ServerTLSConfig
from ._compat_aioquic import TraceLogger
from ._keylog import KeyLog
from ._settings import QUICSettings

__all__ = ["client_configuration", "server_configuration"]

_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERIFY_NOTHING = 0  # ssl.CERT_NONE


def server_configuration(
    tls_config: ServerTLSConfig, settings: QUICSettings, alpn_protocols: Sequence[str], connection_id_octets: int
) -> QuicConfiguration:
    """Return what all connections of a server have in common.

    Args:
        tls_config: certificate and key.
        settings: options of QUIC.
        alpn_protocols: names to accept, most preferred first.
        connection_id_octets: length of connection ids.

    Raises:
        ConfigurationError: certificate, key, key log or trace directory cannot be used, or something is asked for that
            QUIC has not.
    """
    if tls_config.certfile is None:
        raise ConfigurationError("a QUIC server needs a certificate of its own: certfile is not set")
    if tls_config.client_cafile is not None:
        raise ConfigurationError("QUIC servers cannot ask for client certificates: client_cafile is set")
    configuration = _configuration(False, settings, alpn_protocols, connection_id_octets, tls_config.keylog_filename)
    _load_certificate(configuration, tls_config.certfile, tls_config.keyfile, tls_config.password)
    return configuration


def client_configuration(
    tls_config: ClientTLSConfig, settings: QUICSettings, alpn_protocols: Sequence[str], connection_id_octets: int
) -> QuicConfiguration:
    """Return what all connections of a client have in common.

    Without authorities in ``tls_config``, those of certifi are trusted.

    Args:
        tls_config: authorities, and a certificate if there is one.
        settings: options of QUIC.
        alpn_protocols: names to offer, most preferred first.
        connection_id_octets: length of connection ids.

    Raises:
        ConfigurationError: authorities, certificate, key, key log or trace directory cannot be used.
    """
    configuration = _configuration(True, settings, alpn_protocols, connection_id_octets, tls_config.keylog_filename)
    if tls_config.insecure:
        configuration.verify_mode = _VERIFY_NOTHING
    if tls_config.cafile is not None:
        _check_authorities(tls_config.cafile)
        configuration.cafile = tls_config.cafile
    if tls_config.capath is not None:
        if not os.path.isdir(tls_config.capath):
            raise ConfigurationError(f"capath {tls_config.capath!r} is not a directory")
        configuration.capath = tls_config.capath
    if tls_config.cadata is not None:
        configuration.cadata = _pem_authorities(tls_config.cadata)
    if tls_config.certfile is not None:
        _load_certificate(configuration, tls_config.certfile, tls_config.keyfile, tls_config.password)
    elif tls_config.keyfile is not None:
        raise ConfigurationError("keyfile is set, but no certfile to go with it")
    return configuration


def _configuration(
    client_side: bool,
    settings: QUICSettings,
    alpn_protocols: Sequence[str],
    connection_id_octets: int,
    keylog_filename: str | None,
) -> QuicConfiguration:
    configuration = QuicConfiguration(
        alpn_protocols=list(alpn_protocols),
        congestion_control_algorithm=settings.congestion_control,
        connection_id_length=connection_id_octets,
        idle_timeout=settings.idle_timeout_seconds,
        is_client=client_side,
        max_data=settings.connection_window,
        max_datagram_size=settings.max_datagram_octets,
        max_stream_data=settings.stream_window_octets,
    )
    if keylog_filename is not None:
        configuration.secrets_log_file = cast("TextIO", KeyLog(keylog_filename))  # as much of one as is asked for
    configuration.initial_rtt = settings.initial_round_trip_seconds
    configuration.supported_versions = list(settings.versions)
    if settings.datagram_frames:
        configuration.max_datagram_frame_size = 65_535
    if settings.qlog_directory is not None:
        configuration.quic_logger = TraceLogger(settings.qlog_directory)
    return configuration


def _read(what: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigurationError(f"{what} {path!r} cannot be read: {why}") from exc


def _load_certificates(what: str, path: str) -> list[x509.Certificate]:
    blob = _read(what, path)
    try:
        return x509.load_pem_x509_certificates(blob)
    except ValueError as exc:
        raise ConfigurationError(f"{what} {path!r} holds no PEM certificate") from exc


def _check_authorities(path: str) -> None:
    """Check that there is an authority in a file. OpenSSL reads it later, and is content with what is old and odd."""
    blob = _read("cafile", path)
    for match in _PEM_CERTIFICATE.finditer(blob):
        with warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning):
            try:
                x509.load_pem_x509_certificate(match.group())
            except ValueError:
                continue
            return
    raise ConfigurationError(f"cafile {path!r} holds no PEM certificate")


def _load_certificate(
    configuration: QuicConfiguration, certfile: str, keyfile: str | None, password: str | None
) -> None:
    certificates = _load_certificates("certfile", certfile)
    what, path = ("certfile", certfile) if keyfile is None else ("keyfile", keyfile)
    key = _load_key(what, path, password)
    if key.public_key() != certificates[0].public_key():
        raise ConfigurationError(f"the private key in {path!r} is not that of {certfile!r}")
    configuration.certificate = certificates[0]
    configuration.certificate_chain = certificates[1:]
    configuration.private_key = key


def _load_key(what: str, path: str, password: str | None) -> PrivateKeyTypes:
    blob = _read(what, path)
    begin = blob.find(b"-----BEGIN", max(0, blob.find(b"PRIVATE KEY-----") - 32))
    if b"PRIVATE KEY-----" not in blob or begin < 0:
        raise ConfigurationError(f"{what} {path!r} holds no PEM private key")
    secret = None if password is None else password.encode()
    try:
        return load_pem_private_key(blob[begin:], secret if b"ENCRYPTED" in blob[begin:] else None)
    except TypeError as exc:
        raise ConfigurationError(f"the private key in {path!r} is encrypted, and no password is set") from exc
    except ValueError as exc:
        hint = "; is the password right?" if password is not None else ""
        raise ConfigurationError(f"the private key in {path!r} cannot be used{hint}") from exc


def _pem_authorities(cadata: bytes) -> bytes:
    if b"-----BEGIN" in cadata:
        try:
            certificates = x509.load_pem_x509_certificates(cadata)
        except ValueError as exc:
            raise ConfigurationError("cadata holds no usable certificate") from exc
    else:
        try:
            certificates = [x509.load_der_x509_certificate(cadata)]
        except ValueError as exc:
            raise ConfigurationError("cadata holds no usable certificate") from exc
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
