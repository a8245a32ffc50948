"""Keys that a router signs with: Ed25519, from a PEM file. Needs the extra ``router`` (cryptography).

A signed text is ``base64url(payload).base64url(signature)``, both without padding; the signature is over the bytes of
``purpose`` and the payload, so that what was signed for one purpose is worth nothing for another.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aether_deploy.problems import ConfigError, Problem

EXTRA = "pip install 'aether-deploy[router]'"
MAKE = "openssl genpkey -algorithm ed25519 -out NEW.pem"
KEYS_MAX = 8
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_ID_CHARACTERS = 16


class SigningKeys:
    """The first key signs; all of them vouch for what was signed before.

    Attributes:
        key_id: Of the key that signs.
        public: Public keys by id, 32 raw bytes each in base64url.
    """

    def __init__(self, private: Mapping[str, Any]) -> None:
        self._private = dict(private)
        self.key_id = next(iter(self._private))
        self.public = {name: _text(_raw(key)) for name, key in self._private.items()}

    def sign(self, payload: bytes, *, purpose: bytes) -> str:
        """Return ``payload`` with its signature by the first key."""
        signature = self._private[self.key_id].sign(purpose + payload)
        return f"{_text(payload)}.{_text(signature)}"


def read_signing_keys(pem: bytes, *, file: str) -> SigningKeys:
    """Return the keys that a PEM file holds.

    Args:
        pem: What the file holds: one or more private Ed25519 keys, PKCS#8, without a passphrase.
        file: What to call it in problems.

    Raises:
        ConfigError: It holds no key, another kind of key, one with a passphrase, or cryptography is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise _refused(file, "signing needs the package cryptography, which is not installed", EXTRA) from None
    make = f"name the file of the keys; to make a new one: {MAKE}"
    keys: dict[str, Any] = {}
    for block in _BLOCK.finditer(pem):
        try:
            key = load_pem_private_key(block[0], password=None)
        except (ValueError, TypeError) as error:
            raise _refused(file, f"holds a key that cannot be read: {error}", make) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise _refused(file, "holds a key of another kind than Ed25519", make)
        keys[key_id(_raw(key))] = key
    if not keys:
        raise _refused(file, "holds no private key in PEM", make)
    if len(keys) > KEYS_MAX:
        raise _refused(file, f"holds {len(keys)} keys", f"keep {KEYS_MAX} at most: the one that signs, and older ones")
    return SigningKeys(keys)


def verified(signed: str, public_keys: Mapping[str, str], *, purpose: bytes, fault: str) -> bytes:
    """Return the payload of a signed text.

    Args:
        signed: The text.
        public_keys: Public keys by id, as ``GET /v1/keys`` gives them. Any of them may have signed.
        purpose: What it must have been signed for.
        fault: What to call the text in a problem.

    Raises:
        ValueError: Nobody of these signed it, or it is no signed text.
        ModuleNotFoundError: cryptography is not installed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    payload, signature = _parts(signed, fault)
    for raw in _public(public_keys):
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, purpose + payload)
        except InvalidSignature:
            continue
        return payload
    raise ValueError(f"{fault} is signed by none of these keys")


def key_id(raw: bytes) -> str:
    """Return what a public key is called: the begin of its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()[:_ID_CHARACTERS]


def _parts(signed: str, fault: str) -> tuple[bytes, bytes]:
    payload, dot, signature = signed.partition(".")
    try:
        if dot and len(signature) == 86:
            return _bytes(payload), _bytes(signature)
    except ValueError:
        pass
    raise ValueError(f"{fault} is no signed text: base64url(payload).base64url(signature)")


def _public(public_keys: Mapping[str, str]) -> Iterator[bytes]:
    for name, text in public_keys.items():
        raw = _bytes(text)
        if len(raw) != 32:
            raise ValueError(f"key {name} has {len(raw)} bytes; a public Ed25519 key has 32")
        yield raw


def _raw(private: Any) -> bytes:
    raw: bytes = private.public_key().public_bytes_raw()
    return raw


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    """Return what base64url stands for; strict, so that one payload has one text."""
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(raw) != text:
        raise binascii.Error("is not canonical base64url")
    return raw


def _refused(file: str, reason: str, fix: str) -> ConfigError:
    return ConfigError([Problem(path="$", reason=reason, fix=fix, file=file)])
