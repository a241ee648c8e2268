"""``ssl.SSLContext`` objects from the TLS configurations of the root module.

Everything that cannot be used raises ``ConfigurationError`` with one line that names the file and says why. Nothing
asks for a passphrase on the terminal.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from ..errors import ConfigurationError
from ..models import ClientTLSConfig, ServerTLSConfig
from ._tls_errors import describe_tls_error

__all__ = ["client_tls_context", "server_tls_context"]


def server_tls_context(config: ServerTLSConfig, alpn_protocols: Sequence[str]) -> ssl.SSLContext:
    """Build the context of a server, or set up the one that ``config`` brings.

    Raises:
        ConfigurationError: certificate, key, authorities or key log cannot be used.
    """
    context = config.ssl_context
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _harden(context, config.minimum_version)
        if config.certfile is None:
            raise ConfigurationError("a TLS server needs a certificate: certfile is not set")
        _load_certificate(context, config.certfile, config.keyfile, config.password)
        if config.client_cafile is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            _load_authorities(context, "client_cafile", cafile=config.client_cafile)
        _log_keys(context, config.keylog_filename)
    _offer(context, alpn_protocols)
    return context


def client_tls_context(config: ClientTLSConfig, alpn_protocols: Sequence[str]) -> ssl.SSLContext:
    """Build the context of a client, or set up the one that ``config`` brings.

    Raises:
        ConfigurationError: authorities, certificate, key or key log cannot be used.
    """
    context = config.ssl_context
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _harden(context, config.minimum_version)
        if config.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif config.cafile is None and config.capath is None and config.cadata is None:
            context.load_default_certs()
        if config.cafile is not None:
            _load_authorities(context, "cafile", cafile=config.cafile)
        if config.capath is not None:
            _load_authorities(context, "capath", capath=config.capath)
        if config.cadata is not None:
            _load_authorities(context, "cadata", cadata=config.cadata)
        if config.certfile is not None:
            _load_certificate(context, config.certfile, config.keyfile, config.password)
        elif config.keyfile is not None:
            raise ConfigurationError("keyfile is set, but no certfile to go with it")
        _log_keys(context, config.keylog_filename)
    _offer(context, alpn_protocols)
    return context


def _harden(context: ssl.SSLContext, minimum_version: ssl.TLSVersion | None) -> None:
    if minimum_version not in {None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3}:
        raise ConfigurationError("minimum_version must be TLS 1.2 or TLS 1.3")
    context.minimum_version = minimum_version or ssl.TLSVersion.TLSv1_2
    # Renegotiation lets a peer make sending depend on receiving; HTTP/2 forbids it (RFC 9113 §9.2.1).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION


def _offer(context: ssl.SSLContext, alpn_protocols: Sequence[str]) -> None:
    if not alpn_protocols:
        return
    try:
        context.set_alpn_protocols(list(alpn_protocols))
    except (ssl.SSLError, UnicodeError, ValueError) as exc:
        raise ConfigurationError(f"{list(alpn_protocols)!r} cannot be offered by ALPN: {exc}") from exc


def _read(what: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigurationError(f"{what} {path!r} cannot be read: {why}") from exc


class _PasswordMissingError(Exception):
    """The key is encrypted and there is no password; raised through OpenSSL's callback."""


def _load_certificate(context: ssl.SSLContext, certfile: str, keyfile: str | None, password: str | None) -> None:
    # OpenSSL says "PEM lib" whatever is wrong with either file, so the plain mistakes are looked for here.
    if b"-----BEGIN CERTIFICATE-----" not in _read("certfile", certfile):
        raise ConfigurationError(f"certfile {certfile!r} holds no PEM certificate")
    what, path = ("certfile", certfile) if keyfile is None else ("keyfile", keyfile)
    if b"PRIVATE KEY-----" not in _read(what, path):
        raise ConfigurationError(f"{what} {path!r} holds no PEM private key")

    def answer_passphrase() -> str:
        if password is None:
            raise _PasswordMissingError
        return password

    try:
        context.load_cert_chain(certfile, keyfile, answer_passphrase)
    except _PasswordMissingError as exc:
        raise ConfigurationError(f"the private key in {path!r} is encrypted, and no password is set") from exc
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(f"the private key in {path!r} is not that of {certfile!r}") from exc
        if password is not None:
            raise ConfigurationError(f"the private key in {path!r} cannot be used; is the password right?") from exc
        raise ConfigurationError(f"{certfile!r} and {path!r} cannot be used: {describe_tls_error(exc)}") from exc
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{certfile!r} and {path!r} cannot be used: {exc}") from exc


def _load_authorities(
    context: ssl.SSLContext,
    what: str,
    *,
    cafile: str | None = None,
    capath: str | None = None,
    cadata: bytes | None = None,
) -> None:
    blob: str | bytes | None = cadata
    named = what
    if cafile is not None:
        _read(what, cafile)
        named = f"{what} {cafile!r}"
    if capath is not None:
        named = f"{what} {capath!r}"
        if not os.path.isdir(capath):  # OpenSSL takes any path in silence, and then trusts nobody
            raise ConfigurationError(f"{named} is not a directory")
    try:
        if cadata is not None and b"-----BEGIN" in cadata:
            blob = cadata.decode("ascii", "ignore")  # text around the certificates may be anything
        context.load_verify_locations(cafile, capath, blob)
    except ssl.SSLError as exc:
        raise ConfigurationError(f"{named} holds no usable certificate: {describe_tls_error(exc)}") from exc
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{named} cannot be used: {exc}") from exc


def _log_keys(context: ssl.SSLContext, filename: str | None) -> None:
    if filename is None:
        return
    try:
        context.keylog_filename = filename
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigurationError(f"keylog_filename {filename!r} cannot be written: {why}") from exc
