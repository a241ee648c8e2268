"""TLS contexts: what configurations mean, and one line for each that cannot be used."""

from __future__ import annotations

import dataclasses
import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from hface_trio.errors import ConfigurationError
from hface_trio.models import ClientTLSConfig, ServerTLSConfig
from hface_trio.networking._tls_context import client_tls_context, server_tls_context

BUILDERS = [(server_tls_context, ServerTLSConfig), (client_tls_context, ClientTLSConfig)]
BOTH = pytest.mark.parametrize(("build", "config_type"), BUILDERS, ids=["server", "client"])


@pytest.fixture
def files(authority) -> tuple[str, str]:
    return authority.issue("localhost")


@pytest.fixture
def encrypted_key(files, tmp_path: Path) -> str:
    key = serialization.load_pem_private_key(Path(files[1]).read_bytes(), None)
    path = tmp_path / "encrypted.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return str(path)


def refused(build, config) -> str:
    with pytest.raises(ConfigurationError) as info:
        build(config, ["http/1.1"])
    message = str(info.value)
    assert "\n" not in message
    return message


# What configurations mean


@BOTH
def test_tls_1_2_is_the_oldest_version(build, config_type, files):
    assert build(config_type(*_own(config_type, files)), []).minimum_version is ssl.TLSVersion.TLSv1_2


def _own(config_type, files):
    return files if config_type is ServerTLSConfig else ()


@BOTH
def test_the_oldest_version_can_be_raised(build, config_type, files):
    config = config_type(*_own(config_type, files), minimum_version=ssl.TLSVersion.TLSv1_3)
    assert build(config, []).minimum_version is ssl.TLSVersion.TLSv1_3


@BOTH
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.MINIMUM_SUPPORTED])
def test_the_oldest_version_cannot_be_lowered(build, config_type, version, files):
    config = config_type(*_own(config_type, files), minimum_version=version)
    assert refused(build, config) == "minimum_version must be TLS 1.2 or TLS 1.3"


@BOTH
def test_renegotiation_is_off(build, config_type, files):
    assert build(config_type(*_own(config_type, files)), []).options & ssl.OP_NO_RENEGOTIATION


def test_a_server_asks_no_client_for_a_certificate_unless_told(files, authority):
    assert server_tls_context(ServerTLSConfig(*files), []).verify_mode is ssl.CERT_NONE
    config = ServerTLSConfig(*files, client_cafile=authority.cafile)
    assert server_tls_context(config, []).verify_mode is ssl.CERT_REQUIRED


def test_a_client_verifies_unless_it_is_insecure(authority):
    context = client_tls_context(ClientTLSConfig(cafile=authority.cafile), [])
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    context = client_tls_context(ClientTLSConfig(insecure=True), [])
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_client_trusts_the_system_unless_told_whom(monkeypatch, authority):
    calls = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda _: calls.append("system"))
    client_tls_context(ClientTLSConfig(), [])
    assert calls == ["system"]
    for config in (
        ClientTLSConfig(cafile=authority.cafile),
        ClientTLSConfig(capath=os.path.dirname(authority.cafile)),
        ClientTLSConfig(cadata=Path(authority.cafile).read_bytes()),
        ClientTLSConfig(insecure=True),
    ):
        client_tls_context(config, [])
    assert calls == ["system"]


@pytest.mark.parametrize("form", ["cafile", "pem", "der"])
def test_authorities_from_files_and_blobs(form, authority):
    pem = Path(authority.cafile).read_bytes()
    config = {
        "cafile": ClientTLSConfig(cafile=authority.cafile),
        "pem": ClientTLSConfig(cadata="Größe\n".encode() + pem),
        "der": ClientTLSConfig(cadata=ssl.PEM_cert_to_DER_cert(pem.decode())),
    }[form]
    assert client_tls_context(config, []).cert_store_stats()["x509_ca"] == 1


def test_a_key_in_the_certificate_file(files, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(Path(files[0]).read_bytes() + Path(files[1]).read_bytes())
    server_tls_context(ServerTLSConfig(str(both)), [])
    client_tls_context(ClientTLSConfig(certfile=str(both)), [])


@BOTH
def test_an_encrypted_key_with_its_password(build, config_type, files, encrypted_key):
    build(config_type(certfile=files[0], keyfile=encrypted_key, password="secret"), [])


@BOTH
def test_tls_secrets_are_logged_to_a_file(build, config_type, files, tmp_path):
    path = tmp_path / "keys"
    config = config_type(*_own(config_type, files), keylog_filename=str(path))
    assert build(config, []).keylog_filename == str(path)


@BOTH
def test_a_context_of_ones_own_is_used(build, config_type):
    protocol = ssl.PROTOCOL_TLS_SERVER if config_type is ServerTLSConfig else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(protocol)
    config = config_type(ssl_context=context, certfile="/does/not/exist")
    assert build(config, ["http/1.1"]) is context


def test_the_sni_callback_of_a_context_of_ones_own_is_left_alone():
    def callback(*args) -> None:
        return None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = callback
    server_tls_context(ServerTLSConfig(ssl_context=context), [])
    assert context.sni_callback is callback


# What cannot be used


def test_a_server_needs_a_certificate():
    assert refused(server_tls_context, ServerTLSConfig()) == "a TLS server needs a certificate: certfile is not set"


def test_a_key_without_a_certificate(files):
    message = refused(client_tls_context, ClientTLSConfig(keyfile=files[1]))
    assert message == "keyfile is set, but no certfile to go with it"


@BOTH
@pytest.mark.parametrize("field", ["certfile", "keyfile"])
def test_a_file_that_does_not_exist(build, config_type, field, files):
    config = dataclasses.replace(config_type(certfile=files[0], keyfile=files[1]), **{field: "/does/not/exist"})
    assert refused(build, config) == f"{field} '/does/not/exist' cannot be read: No such file or directory"


@BOTH
def test_a_directory_instead_of_a_file(build, config_type, files, tmp_path):
    message = refused(build, config_type(certfile=str(tmp_path), keyfile=files[1]))
    assert message == f"certfile '{tmp_path}' cannot be read: Is a directory"


@BOTH
def test_a_path_that_cannot_be(build, config_type):
    assert "cannot be read: embedded null byte" in refused(build, config_type(certfile="a\0b"))


@BOTH
def test_files_that_hold_something_else(build, config_type, files, tmp_path):
    other = tmp_path / "other"
    other.write_text("hello")
    message = refused(build, config_type(certfile=str(other), keyfile=files[1]))
    assert message == f"certfile '{other}' holds no PEM certificate"
    message = refused(build, config_type(certfile=files[0], keyfile=str(other)))
    assert message == f"keyfile '{other}' holds no PEM private key"
    message = refused(build, config_type(certfile=files[0]))
    assert message == f"certfile '{files[0]}' holds no PEM private key"


@BOTH
def test_a_damaged_certificate(build, config_type, files, tmp_path):
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    message = refused(build, config_type(certfile=str(damaged), keyfile=files[1]))
    assert message.startswith(f"'{damaged}' and '{files[1]}' cannot be used: ")


@BOTH
def test_the_key_of_another_certificate(build, config_type, files, authority):
    other = authority.issue("other.example")[1]
    message = refused(build, config_type(certfile=files[0], keyfile=other))
    assert message == f"the private key in '{other}' is not that of '{files[0]}'"


@BOTH
def test_an_encrypted_key_without_a_password_is_not_asked_for_on_the_terminal(build, config_type, files, encrypted_key):
    message = refused(build, config_type(certfile=files[0], keyfile=encrypted_key))
    assert message == f"the private key in '{encrypted_key}' is encrypted, and no password is set"


@BOTH
def test_a_wrong_password(build, config_type, files, encrypted_key):
    message = refused(build, config_type(certfile=files[0], keyfile=encrypted_key, password="wrong"))
    assert message == f"the private key in '{encrypted_key}' cannot be used; is the password right?"


@BOTH
def test_a_password_that_is_too_long(build, config_type, files, encrypted_key):
    message = refused(build, config_type(certfile=files[0], keyfile=encrypted_key, password="x" * 5000))
    assert "cannot be used" in message


def test_authorities_that_cannot_be_read(files):
    message = refused(client_tls_context, ClientTLSConfig(cafile="/does/not/exist"))
    assert message == "cafile '/does/not/exist' cannot be read: No such file or directory"
    message = refused(server_tls_context, ServerTLSConfig(*files, client_cafile="/does/not/exist"))
    assert message == "client_cafile '/does/not/exist' cannot be read: No such file or directory"


def test_a_directory_of_authorities_that_is_none(authority):
    message = refused(client_tls_context, ClientTLSConfig(capath=authority.cafile))
    assert message == f"capath '{authority.cafile}' is not a directory"


def test_a_file_of_authorities_that_holds_none(tmp_path):
    path = tmp_path / "empty.pem"
    path.write_text("")
    message = refused(client_tls_context, ClientTLSConfig(cafile=str(path)))
    assert message.startswith(f"cafile '{path}' holds no usable certificate: ")


@pytest.mark.parametrize("blob", [b"hello", b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_blob_of_authorities_that_holds_none(blob):
    message = refused(client_tls_context, ClientTLSConfig(cadata=blob))
    assert message.startswith(("cadata holds no usable certificate: ", "cadata cannot be used: "))


@BOTH
def test_a_key_log_that_cannot_be_written(build, config_type, files, tmp_path):
    config = config_type(*_own(config_type, files), keylog_filename=str(tmp_path / "no" / "keys"))
    assert refused(build, config).endswith("cannot be written: No such file or directory")


@BOTH
@pytest.mark.parametrize("names", [["x" * 256], [""], ["ü"]])
def test_names_that_alpn_cannot_carry(build, config_type, names, files):
    with pytest.raises(ConfigurationError, match="cannot be offered by ALPN"):
        build(config_type(*_own(config_type, files)), names)
