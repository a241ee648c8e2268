"""TLS records made by hand, for what a peer may send and the ssl module does not.

Sources: RFC 8446 §5.2, §7.1, §7.2; RFC 5246 §5, §6.3; RFC 5288 §3. The cipher suites are those with AES-256-GCM and
SHA-384, which OpenSSL prefers in both versions.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

APPLICATION_DATA = 23
HANDSHAKE = 22
KEY_UPDATE_REQUESTED = b"\x18\x00\x00\x01\x01"
# A ClientHello after the handshake asks for renegotiation; OpenSSL refuses it by its first octets.
RENEGOTIATION = b"\x01\x00\x00\x26\x03\x03" + bytes(36)


class TLS13RecordWriter:
    """Encrypts records as the client of a TLS 1.3 connection, from its first application data on."""

    def __init__(self, keylog: str) -> None:
        self._set_secret(_read_secret(keylog, "CLIENT_TRAFFIC_SECRET_0"))

    def _set_secret(self, secret: bytes) -> None:
        self._secret = secret
        self._sequence_number = 0
        self._aead = AESGCM(_expand_label(secret, b"key", 32))
        self._iv = _expand_label(secret, b"iv", 12)

    def write(self, content: bytes, content_type: int) -> bytes:
        header = struct.pack("!BHH", 23, 0x0303, len(content) + 1 + 16)
        mask = self._sequence_number.to_bytes(12, "big")
        nonce = bytes(left ^ right for left, right in zip(self._iv, mask, strict=True))
        self._sequence_number += 1
        return header + self._aead.encrypt(nonce, content + bytes([content_type]), header)

    def update_keys(self) -> None:
        """Go on with the next keys, as is due behind a KeyUpdate."""
        self._set_secret(_expand_label(self._secret, b"traffic upd", 48))


class TLS12RecordWriter:
    """Encrypts records as the client of a TLS 1.2 connection, behind its Finished."""

    def __init__(self, keylog: str, server_random: bytes) -> None:
        client_random, master_secret = _read_pair(keylog, "CLIENT_RANDOM")
        block = _expand(master_secret, b"key expansion" + server_random + client_random, 72)
        self._aead = AESGCM(block[:32])
        self._salt = block[64:68]
        self._sequence_number = 1

    def write(self, content: bytes, content_type: int) -> bytes:
        number = struct.pack("!Q", self._sequence_number)
        self._sequence_number += 1
        header = number + struct.pack("!BHH", content_type, 0x0303, len(content))
        ciphertext = self._aead.encrypt(self._salt + number, content, header)
        return struct.pack("!BHH", content_type, 0x0303, 8 + len(ciphertext)) + number + ciphertext


def read_server_random(flight: bytes) -> bytes:
    """Return the random of the ServerHello that a server's first flight begins with."""
    return flight[11:43]


def count_records(ciphertext: bytes) -> int:
    count = 0
    while ciphertext:
        ciphertext = ciphertext[5 + int.from_bytes(ciphertext[3:5], "big") :]
        count += 1
    return count


def _expand_label(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    info = struct.pack("!HB", length, len(label)) + label + b"\0"
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.digest(secret, block + info + bytes([counter]), hashlib.sha384)
        output += block
        counter += 1
    return output[:length]


def _expand(secret: bytes, seed: bytes, length: int) -> bytes:
    output, state = b"", seed
    while len(output) < length:
        state = hmac.digest(secret, state, hashlib.sha384)
        output += hmac.digest(secret, state + seed, hashlib.sha384)
    return output[:length]


def _read_pair(keylog: str, label: str) -> tuple[bytes, bytes]:
    for line in keylog.splitlines():
        if line.startswith(label + " "):
            _, identifier, secret = line.split(" ")
            return bytes.fromhex(identifier), bytes.fromhex(secret)
    raise AssertionError(f"no {label} in the key log")


def _read_secret(keylog: str, label: str) -> bytes:
    return _read_pair(keylog, label)[1]
