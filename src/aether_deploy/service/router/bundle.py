"""What a client keeps for the time in which neither the router nor DNS answers: regions in order, signed.

A bundle says where to go, best first, and until when that may be believed. A client asks ``GET /v1/keys`` once while
all is well, or ships with the keys, keeps the last bundle, and verifies it when nobody answers.
"""

from collections.abc import Mapping, Sequence

import msgspec

from aether_deploy.service.router.signing import SigningKeys, verified

PURPOSE = b"aether-bundle-1\n"
CLOCK_SLACK_SECS = 300


class BundleRegion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One region of a bundle.

    Attributes:
        region: Its code.
        address: Where players are sent; None where the router was not told.
    """

    region: str
    address: str | None = None


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go while nobody can be asked.

    Attributes:
        regions: The regions, best first.
        epoch: Number of the view that they were chosen from.
        issued: Wall clock of the router then, seconds since 1970.
        expires: From then on it is worth nothing, seconds since 1970.
        key: Id of the key that signed it.
    """

    regions: tuple[BundleRegion, ...]
    epoch: int
    issued: int
    expires: int
    key: str


def sign_bundle(
    keys: SigningKeys,
    regions: Sequence[str],
    addresses: Mapping[str, str | None],
    *,
    epoch: int,
    issued: int,
    lifetime_secs: int,
) -> str:
    """Return a signed bundle.

    Args:
        keys: The first of them signs.
        regions: Codes, best first.
        addresses: Where players are sent, by code.
        epoch: Number of the view.
        issued: Wall clock, seconds since 1970.
        lifetime_secs: How long it may be believed, seconds.
    """
    bundle = Bundle(
        regions=tuple(BundleRegion(code, addresses.get(code)) for code in regions),
        epoch=epoch,
        issued=issued,
        expires=issued + lifetime_secs,
        key=keys.key_id,
    )
    return keys.sign(msgspec.json.encode(bundle), purpose=PURPOSE)


def verify_bundle(bundle: str | None, public_keys: Mapping[str, str], now: float) -> Bundle:
    """Return what a signed bundle says, if it may be believed.

    Args:
        bundle: The bundle, as the router gave it; None where its answer had none.
        public_keys: The router's public keys by id, as ``GET /v1/keys`` gives them under ``keys``.
        now: Wall clock, seconds since 1970. A clock that is up to five minutes behind the router's is borne.

    Raises:
        ValueError: It is no bundle, none of these keys signed it, its time is over, or it is from the future.
        ModuleNotFoundError: The package cryptography is missing; the extra ``router`` brings it.
    """
    if not isinstance(bundle, str):
        raise ValueError("the bundle is no text; a router without keys gives none")
    payload = verified(bundle, public_keys, purpose=PURPOSE, fault="the bundle")
    try:
        said = msgspec.json.decode(payload, type=Bundle)
    except msgspec.DecodeError as error:
        raise ValueError(f"the bundle is of another version: {error}") from None
    if not now < said.expires:  # said so, a clock that is no number is past it
        raise ValueError(f"the bundle's time is over since {now - said.expires:.0f} s")
    if now < said.issued - CLOCK_SLACK_SECS:
        raise ValueError(f"the bundle is from the future, by {said.issued - now:.0f} s: a clock is wrong")
    return said
