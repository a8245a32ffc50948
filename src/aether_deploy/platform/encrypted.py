"""Secrets that were encrypted before, by kubeseal or sops: files beside the description, checked and carried over.

What is not encrypted must never reach a repository, so a file is refused unless everything in it is as its program
writes it. Its values are carried as they are, in their order: sops signs them all, each in its turn.

Sources: Sealed Secrets, ``pkg/crypto/crypto.go`` (form of a value) and README, "Scopes"; sops, ``aes/cipher.go`` (form
of a value), ``stores/stores.go`` (the block ``sops``), ``sops.go`` (what the mac covers).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aether_deploy.config.sink import path_text
from aether_deploy.manifest.literals import literal_secret
from aether_deploy.manifest.text_places import TextPlaces
from aether_deploy.patterns import Pattern
from aether_deploy.problems import ConfigError, Problem, shown

PULL_TYPE = "kubernetes.io/dockerconfigjson"
PULL_KEY = ".dockerconfigjson"
Steps = tuple[str | int, ...]

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ENCRYPT = "encrypt it by sops --encrypt --encrypted-regex '^(data|stringData)$'"
_EDIT = "change it by sops edit, which signs it anew"
_SEAL = "seal such a Secret by kubeseal, and take what it writes unchanged"
_SOPS_VALUE = Pattern(r"ENC\[AES256_GCM,data:[A-Za-z0-9+/=]+,iv:[A-Za-z0-9+/=]+,tag:[A-Za-z0-9+/=]+,type:[a-z]+\]")
_SOPS_KEYS = ("kms", "gcp_kms", "azure_kv", "hc_vault", "age", "pgp", "key_groups")
_TAG_BYTES = 16  # of AES-GCM, which ends each sealed value


class SecretUse(msgspec.Struct, frozen=True):
    """A Secret as the workloads of a cluster use it.

    Attributes:
        name: Its name.
        keys: Each key that a pod mounts by its name, and the workload.
        pulls: Whether images are pulled by it.
    """

    name: str
    keys: tuple[tuple[str, str], ...] = ()
    pulls: bool = False

    def needs(self) -> Iterator[tuple[str, str]]:
        """Yield each key that must be in it, and why, as the end of a sentence."""
        yield from ((key, f"which '{workload}' mounts") for key, workload in self.keys)
        if self.pulls:
            yield PULL_KEY, "by which images are pulled"


class _Fault(msgspec.Struct, frozen=True):
    """What is wrong in a file; without ``at_key`` at the value, or at the nearest one around it that is there."""

    at: Steps
    reason: str
    fix: str
    value: str | None = None
    at_key: bool = False


def encrypted_body(provider: str, use: SecretUse, namespace: str, content: bytes | None, name: str) -> dict[str, Any]:
    """Return the manifest that an encrypted file holds.

    Args:
        provider: ``sealed_secrets`` or ``sops``.
        use: The Secret that it must be.
        namespace: The namespace that it must be for.
        content: The file; None where nobody read it.
        name: What the user calls the file.

    Raises:
        ConfigError: It is no such file; every fault of it is in it, at its place.
    """
    if content is None:
        fix = "give its content by this path, as load_platform does"
        raise ConfigError([Problem(path="$.secrets", value=shown(name), reason="its content is not known", fix=fix)])
    body, problems = read_encrypted(provider, use, namespace, content, name)
    if body is None or problems:
        raise ConfigError(problems)
    return body


def read_encrypted(
    provider: str, use: SecretUse, namespace: str, content: bytes, name: str
) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    """Return what an encrypted file holds, and everything that is wrong with it. For the arguments see above."""
    from aether_deploy.manifest.yaml_source import read_partly

    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"holds the byte 0x{content[error.start]:02X}, not UTF-8"
        return None, (Problem(path="$", reason=reason, fix="save it as UTF-8", file=name),)
    body, refused = read_partly(text, name)
    if body is None or refused:
        return None, tuple(msgspec.structs.replace(each, value=None) for each in refused)  # it may be a secret
    faults = [*_plain_faults(text), *_number_faults((), body), *(strange := [*_kind_faults(body, provider)])]
    if not strange:  # else all that follows would follow from that
        check = _sealed_faults if provider == "sealed_secrets" else _sops_faults
        faults += [*_identity_faults(body, provider, use, namespace), *check(body, use)]
    places = _Places(text)
    problems = [places.problem(fault, name) for fault in faults]
    problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    return body if provider == "sops" else _without_null(body), tuple(dict.fromkeys(problems))


# --- what both have


def _plain_faults(text: str) -> Iterator[_Fault]:
    kind = literal_secret(text)
    if kind is not None:
        yield _Fault((), f"holds {kind} in plain sight", "encrypt it, and replace it if it was ever pushed")


def _number_faults(at: Steps, value: object) -> Iterator[_Fault]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _number_faults((*at, key), each)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _number_faults((*at, place), each)
    elif value is not None and not isinstance(value, (str, bool, int)):
        yield _Fault(at, "no text and no whole number", "quote it")


def _kind_faults(body: Mapping[str, Any], provider: str) -> Iterator[_Fault]:
    sealed = provider == "sealed_secrets"
    wanted = ("bitnami.com/v1alpha1", "SealedSecret") if sealed else ("v1", "Secret")
    how = _SEAL if sealed else _ENCRYPT
    for name, value in zip(("apiVersion", "kind"), wanted, strict=True):
        if _is_enc(body.get(name)):
            yield _Fault((name,), "encrypted too, so that nobody can tell what it is", how)
        elif body.get(name) != value:
            yield _wrong((name,), body.get(name), f"expected {value}", how)


def _identity_faults(body: Mapping[str, Any], provider: str, use: SecretUse, namespace: str) -> Iterator[_Fault]:
    sealed = provider == "sealed_secrets"
    how = _SEAL if sealed else _EDIT
    metadata = _mapping(body.get("metadata"))
    for name, value in {"name": use.name, "namespace": namespace}.items():
        if metadata.get(name) != value:
            said = f"the Secret that is used is '{value}'" if name == "name" else f"it is used in '{value}'"
            yield _wrong(("metadata", name), metadata.get(name), said, how)
    if _LAST_APPLIED in _mapping(metadata.get("annotations")):
        at = ("metadata", "annotations", _LAST_APPLIED)
        yield _Fault(at, "repeats the values before they were encrypted", "remove it, and replace the values")
    allowed = ("spec",) if sealed else ("type", "immutable", "data", "stringData", "sops")
    yield from _unknown_faults((), body, ("apiVersion", "kind", "metadata", *allowed))


def _unknown_faults(at: Steps, value: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[_Fault]:
    """Yield keys that are not known: nobody can tell whether what they hold is encrypted."""
    for name in [name for name in value if name not in known]:
        fix = f"remove it; known are {', '.join(known)}"
        yield _Fault((*at, name), f"has unknown key {shown(name)}", fix, at_key=True)


def _wrong(at: Steps, value: object, reason: str, fix: str) -> _Fault:
    if value is None:
        return _Fault(at, f"is missing; {reason}", fix)
    return _Fault(at, reason, fix, shown(value))


def _pull_faults(use: SecretUse, at: Steps, said: object, fix: str) -> Iterator[_Fault]:
    if use.pulls and said != PULL_TYPE:
        yield _wrong(at, said, f"images are pulled by it, which takes {PULL_TYPE}", fix)


def _needed_faults(use: SecretUse, at: Steps, keys: set[str], fix: str) -> Iterator[_Fault]:
    for key, why in use.needs():
        if key not in keys:
            yield _Fault(at, f"lacks '{key}', {why}", fix)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _without_null(value: Any) -> Any:
    """Return a value without keys that hold null: kubeseal writes some, and they mean what leaving out means."""
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


# --- what kubeseal writes


def _sealed_faults(body: Mapping[str, Any], use: SecretUse) -> Iterator[_Fault]:
    spec = _mapping(body.get("spec"))
    template = _mapping(spec.get("template"))
    at: Steps = ("spec", "encryptedData")
    sealed = _mapping(spec.get("encryptedData"))
    if not sealed:
        yield _Fault(at, "holds nothing", _SEAL)
    for key, value in sealed.items():
        if not _is_sealed(value):
            yield _Fault((*at, key), "not as kubeseal encrypts a value", _SEAL)
    yield from _unknown_faults(("spec",), spec, ("encryptedData", "template"))
    yield from _unknown_faults(("spec", "template"), template, ("metadata", "type", "immutable", "data"))
    templates = _mapping(template.get("data"))
    for key, value in templates.items():
        if "{{" not in str(value):  # else it takes what it shows from a sealed value
            yield _Fault(("spec", "template", "data", key), "stands in plain text", _SEAL)
    if sealed:
        yield from _needed_faults(use, at, {*sealed, *templates}, _SEAL)
    yield from _pull_faults(use, ("spec", "template", "type"), template.get("type"), _SEAL)


def _is_sealed(value: object) -> bool:
    """Whether a text is a wrapped key, its length before it, and what the key encrypts, in base64."""
    import base64
    import binascii

    try:
        sealed = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return False
    wrapped = int.from_bytes(sealed[:2], "big")
    return wrapped >= 256 and len(sealed) >= 2 + wrapped + _TAG_BYTES  # RSA of 2048 bits is the least


# --- what sops writes


def _sops_faults(body: Mapping[str, Any], use: SecretUse) -> Iterator[_Fault]:
    keys: set[str] = set()
    for name in ("data", "stringData"):
        values = _mapping(body.get(name))
        if body.get(name) is not None and not isinstance(body[name], dict):
            yield _Fault((name,), "expected a mapping of keys to values", _ENCRYPT)
        keys |= values.keys()
        for key, value in values.items():
            if value != "" and not _is_enc(value):  # sops leaves an empty text as it is
                yield _Fault((name, key), "stands in plain text", _ENCRYPT)
    if not keys:
        yield _Fault((), "holds neither data nor stringData", _ENCRYPT)
    else:
        yield from _needed_faults(use, ("data",) if "data" in body else ("stringData",), keys, _EDIT)
    yield from _pull_faults(use, ("type",), body.get("type"), _EDIT)
    sops = body.get("sops")
    if not isinstance(sops, dict):
        yield _Fault(("sops",), "is missing: nothing says how to decrypt it", _ENCRYPT)
        return
    if not _is_enc(sops.get("mac")):
        yield _Fault(("sops", "mac"), "is missing: nobody could tell whether it was changed", _ENCRYPT)
    if not any(sops.get(name) for name in _SOPS_KEYS):
        yield _Fault(("sops",), "names no key, so nobody can decrypt it", _ENCRYPT)


def _is_enc(value: object) -> bool:
    return isinstance(value, str) and _SOPS_VALUE.fullmatch(value) is not None


# --- places


class _Places:
    """Where values stand in a file; found for a problem only."""

    def __init__(self, text: str) -> None:
        self._places = TextPlaces(text)

    def problem(self, fault: _Fault, name: str) -> Problem:
        """Return a fault as a problem with its place."""
        line, column = self._place(fault.at, at_key=fault.at_key) or (1, 1)
        outer = fault.at[:-1] if fault.at_key else fault.at
        key = str(fault.at[-1]) if fault.at_key else None
        return Problem(
            path=path_text(outer),
            reason=fault.reason,
            fix=fault.fix,
            value=fault.value,
            file=name,
            line=line,
            column=column,
            key=key,
        )

    def _place(self, at: Steps, *, at_key: bool) -> tuple[int, int] | None:
        for length in range(len(at), -1, -1):
            found = self._places.find(at[:length], at_key=at_key and length == len(at))
            if found is not None:
                return found
        return None
