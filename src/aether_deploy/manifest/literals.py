"""Secrets that stand in plain text, told by a form that nothing else has.

Only forms that their makers document and that no other text takes: a false alarm costs an author more than a miss
of what only looks random. So secret access keys, passwords and tokens without a mark of their own are not searched.

Sources: RFC 7468 and RFC 9580 section 6.2 (private keys in PEM and OpenPGP armour); age, ``age(1)``; AWS, "IAM
identifiers: unique identifiers"; Google Cloud, "API keys" and "HMAC keys"; Azure, "Configure Azure Storage connection
strings"; Alibaba Cloud, "AccessKey pairs".
"""

from aether_deploy.patterns import Pattern

# A word of each form: to look for one costs a hundredth of what the expression costs, and most texts have none.
_MARKS = ("PRIVATE KEY", "LS0t", "AGE-SECRET-KEY-1", "AKIA", "ASIA", "AIza", "GOOG", "AccountKey=", "LTAI")
_SHORTEST = 20

_KINDS = {
    "pem": "a private key",
    "age": "an age private key",
    "aws": "an AWS access key",
    "google": "a Google API key",
    "hmac": "a Google Cloud HMAC key",
    "azure": "an Azure storage key",
    "alibaba": "an Alibaba Cloud access key",
}
_LITERAL = Pattern(
    r"(?P<pem>-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)"
    r"|(?<![A-Za-z0-9])(?:"
    r"(?P<age>AGE-SECRET-KEY-1[0-9A-Z]{58})"
    r"|(?P<aws>A[KS]IA[A-Z0-9]{16})"
    r"|(?P<google>AIza[A-Za-z0-9_-]{35})"
    r"|(?P<hmac>GOOG[A-Z0-9]{57}|GOOG[A-Z0-9]{20})"
    r"|(?P<azure>AccountKey=[A-Za-z0-9+/]{86}==)"
    r"|(?P<alibaba>LTAI[A-Za-z0-9]{20})"
    r")(?![A-Za-z0-9])"
)
# "-----BEGIN " in base64, in as many characters as hold the longest name of a private key.
_ENCODED = Pattern(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{0,66}")


def literal_secret(text: str) -> str | None:
    """Return what kind of secret stands in ``text``, or None where none can be told.

    Args:
        text: Any text of a description: a value, an argument, a whole file.

    Returns:
        Words for a message, without anything of the secret: ``a private key``.

    Example:
        >>> literal_secret("-----BEGIN RSA PRIVATE KEY-----")
        'a private key'
    """
    if len(text) < _SHORTEST or not any(mark in text for mark in _MARKS):
        return None
    found = _LITERAL.search(text)
    if found is not None and found.lastgroup is not None:
        return _KINDS[found.lastgroup]
    return _KINDS["pem"] if any(_is_private(each.group()) for each in _ENCODED.finditer(text)) else None


def _is_private(encoded: str) -> bool:
    """Whether text in base64 begins with a private key, as ``data`` of a Secret does."""
    import base64

    head = base64.b64decode(encoded[: len(encoded) // 4 * 4]).decode("latin-1")
    return _LITERAL.match(head) is not None
