"""Signed texts: what OpenSSL says of them, what makes them worthless, and keys that are none."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from aether_deploy import ConfigError
from aether_deploy.service.router.bundle import PURPOSE, sign_bundle, verify_bundle
from aether_deploy.service.router.signing import SigningKeys, read_signing_keys
from aether_deploy.service.router.stickiness import TokenReader, sticky_token
from tests.real import need
from tests.router_cases import new_keys

NOW = 1_764_000_000
SPKI = bytes.fromhex("302a300506032b6570032100")  # what stands before a public Ed25519 key, RFC 8410


def bundle_of(keys: SigningKeys, **changes: int) -> str:
    given = {"epoch": 7, "issued": NOW, "lifetime_secs": 600, **changes}
    return sign_bundle(keys, ["a", "b"], {"a": "a.example.com", "b": None}, **given)


@pytest.mark.real
def test_openssl_verifies_a_bundle_as_the_docs_say(tmp_path: Path) -> None:
    openssl = need(shutil.which("openssl"), "openssl", "apt-get install openssl")
    keys = new_keys()[1]
    payload, signature = (base64.urlsafe_b64decode(part + "==") for part in bundle_of(keys).split("."))
    public = base64.urlsafe_b64decode(keys.public[keys.key_id] + "==")
    (tmp_path / "key.der").write_bytes(SPKI + public)
    (tmp_path / "signature").write_bytes(signature)

    verdicts = []
    for message in (PURPOSE + payload, payload, PURPOSE + payload + b" "):
        (tmp_path / "message").write_bytes(message)
        command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.der", "-keyform", "DER", "-rawin"]
        verdicts.append(
            subprocess.run(
                [*command, "-in", "message", "-sigfile", "signature"], cwd=tmp_path, capture_output=True
            ).returncode
        )

    assert verdicts[0] == 0
    assert all(verdicts[1:])
    assert json.loads(payload)["regions"] == [{"region": "a", "address": "a.example.com"}, {"region": "b"}]


def test_a_bundle_is_worth_something_until_it_expires_and_not_before_it_was_issued() -> None:
    keys = new_keys()[1]
    bundle = bundle_of(keys)

    for now in (NOW - 300, NOW, NOW + 599.9):
        assert verify_bundle(bundle, keys.public, now).epoch == 7
    for now in (NOW - 301, NOW + 600, NOW + 10**9, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="bundle"):
            verify_bundle(bundle, keys.public, now)


def flipped(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def test_no_single_character_of_a_bundle_can_be_changed() -> None:
    keys = new_keys()[1]
    bundle = bundle_of(keys)

    for place in range(len(bundle)):
        with pytest.raises(ValueError, match="the bundle is"):
            verify_bundle(flipped(bundle, place), keys.public, NOW)


def test_a_bundle_can_be_written_in_one_way_only() -> None:
    keys = new_keys()[1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for epoch in (7, 70, 700):  # payloads of every length modulo 3
        payload, signature = bundle_of(keys, epoch=epoch).split(".")
        ways = [f"{payload[:-1]}{last}.{signature}" for last in alphabet]
        ways += [f"{payload}.{signature[:-1]}{last}" for last in alphabet]

        assert [_is_believed(way, keys) for way in ways].count(True) == 2


def _is_believed(bundle: str, keys: SigningKeys) -> bool:
    try:
        verify_bundle(bundle, keys.public, NOW)
    except ValueError:
        return False
    return True


SPOILED: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "no signature": lambda text: text.partition(".")[0],
    "an empty signature": lambda text: text.partition(".")[0] + ".",
    "padding": lambda text: text + "==",
    "a line end": lambda text: text + "\n",
    "a third part": lambda text: text + ".AA",
    "beyond ASCII": lambda text: "é" + text,
    "the plain alphabet": lambda text: text.replace("-", "+").replace("_", "/") + "+",
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_only_looks_like_a_bundle_is_none(case: str) -> None:
    keys = new_keys()[1]

    with pytest.raises(ValueError, match="the bundle is"):
        verify_bundle(SPOILED[case](bundle_of(keys)), keys.public, NOW)


def test_an_answer_without_a_bundle_has_none_to_believe() -> None:
    with pytest.raises(ValueError, match="the bundle is no text; a router without keys gives none"):
        verify_bundle(None, new_keys()[1].public, NOW)


def test_a_bundle_of_another_router_is_worth_nothing() -> None:
    with pytest.raises(ValueError, match="signed by none of these keys"):
        verify_bundle(bundle_of(new_keys()[1]), new_keys()[1].public, NOW)


def test_a_bundle_is_no_token_and_a_token_no_bundle() -> None:
    keys = new_keys()[1]

    assert TokenReader(keys).region(bundle_of(keys)) is None
    with pytest.raises(ValueError, match="signed by none"):
        verify_bundle(sticky_token("a", keys), keys.public, NOW)


def test_the_first_key_signs_and_the_older_ones_are_still_believed() -> None:
    pem, old = new_keys()
    new = read_signing_keys(new_keys()[0] + pem, file="keys.pem")

    assert new.key_id != old.key_id
    assert verify_bundle(bundle_of(old), new.public, NOW).key == old.key_id
    assert TokenReader(new).region(sticky_token("a", old)) == "a"
    with pytest.raises(ValueError, match="signed by none"):
        verify_bundle(bundle_of(new), old.public, NOW)


def test_a_public_key_of_another_length_is_no_key() -> None:
    keys = new_keys()[1]

    with pytest.raises(ValueError, match="has 3 bytes; a public Ed25519 key has 32"):
        verify_bundle(bundle_of(keys), {"x": "AAAA"}, NOW)


def pem_of(key: Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    how = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def elliptic() -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


KEY_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "holds no private key in PEM"),
    "no key": (
        lambda: b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "holds a key that cannot be read",
    ),
    "another kind": (elliptic, "holds a key of another kind than Ed25519"),
    "with a passphrase": (lambda: pem_of(Ed25519PrivateKey.generate(), b"x"), "holds a key that cannot be read"),
    "one too many": (lambda: new_keys(9)[0], "holds 9 keys"),
}


@pytest.mark.parametrize("case", KEY_FILES)
def test_a_file_without_usable_keys_is_refused(case: str) -> None:
    content, reason = KEY_FILES[case]

    with pytest.raises(ConfigError) as caught:
        read_signing_keys(content(), file="keys.pem")

    assert str(caught.value).startswith(f"keys.pem: $: {reason}")
    assert "\n  fix: " in str(caught.value)


def test_without_cryptography_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)

    with pytest.raises(ConfigError, match="pip install 'aether-deploy\\[router\\]'"):
        read_signing_keys(b"", file="keys.pem")
