"""Certificates to throw away after use: an authority of one's own, and what it issues."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..models import ClientTLSConfig, ServerTLSConfig

if TYPE_CHECKING:
    import trustme

__all__ = ["Authority", "throwaway_authority"]


class Authority:
    """A certificate authority that nobody trusts but those who are told to.

    Args:
        directory: where the files are put; it must exist, and be readable by nobody else.

    Raises:
        ConfigurationError: trustme is not installed.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        try:
            import trustme  # noqa: PLC0415 - only those who issue certificates need it
        except ImportError as exc:
            raise ConfigurationError("certificates are issued by trustme: pip install 'hface-trio[cli]'") from exc
        self._directory = Path(directory)
        self._authority: trustme.CA = trustme.CA()
        self._issued = 0
        self.cafile: str = self._write("authority.pem", self._authority.cert_pem.bytes())

    def issue(self, *identities: str) -> tuple[str, str]:
        """Issue a certificate.

        Args:
            identities: host names, IP addresses, or anything else that trustme takes.

        Returns:
            Paths of the certificate chain and of its private key, both PEM.
        """
        certificate = self._authority.issue_cert(*identities)
        self._issued += 1
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        certfile = self._write(f"certificate-{self._issued}.pem", chain)
        keyfile = self._write(f"key-{self._issued}.pem", certificate.private_key_pem.bytes())
        return certfile, keyfile

    def server_config(self, *identities: str, verify_clients: bool = False) -> ServerTLSConfig:
        """Issue a certificate for a server.

        Args:
            identities: what it shall be valid for; ``localhost`` and its addresses unless given.
            verify_clients: refuse clients without a certificate of this authority.
        """
        certfile, keyfile = self.issue(*(identities or ("localhost", "127.0.0.1", "::1")))
        return ServerTLSConfig(
            certfile=certfile, keyfile=keyfile, client_cafile=self.cafile if verify_clients else None
        )

    def client_config(self, *identities: str) -> ClientTLSConfig:
        """Return a configuration of clients that trust this authority alone.

        Args:
            identities: what a certificate of the client's own shall show; without any it has none.
        """
        if not identities:
            return ClientTLSConfig(cafile=self.cafile)
        certfile, keyfile = self.issue(*identities)
        return ClientTLSConfig(cafile=self.cafile, certfile=certfile, keyfile=keyfile)

    def _write(self, name: str, content: bytes) -> str:
        path = self._directory / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        return str(path)


@contextlib.contextmanager
def throwaway_authority() -> Generator[Authority]:
    """Make an authority with a temporary directory; the files are gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="hface-trio-") as directory:
        yield Authority(directory)
