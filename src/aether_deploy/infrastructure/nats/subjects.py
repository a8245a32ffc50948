"""Subjects: what is one, and whether two match a common one.

Rule:
    nats-server ``server/sublist.go`` (``IsValidSubject``, ``SubjectsCollide``) and ``server/stream.go``
    (``checkStreamCfg``: subjects of JetStream's own interface).
"""

RESERVED = ("$JS.>", "$JSC.>", "$NRG.>", "$SYS.>", "_INBOX.>")
"""What streams must not keep: the server refuses all but the last, by which answers come back."""


def subject_fault(text: str) -> str | None:
    """Return what is wrong with a subject, or None."""
    tokens = text.split(".")
    if not all(tokens):
        return "has an empty token"
    if ">" in tokens[:-1]:
        return "has '>' before its end"
    mixed = next((token for token in tokens if len(token) > 1 and ("*" in token or ">" in token)), None)
    if mixed is not None:
        return f"has '{mixed}', whose wildcard stands for itself: only a token of its own matches others"
    clash = next((known for known in RESERVED if overlap(text, known)), None)
    return f"overlaps with {clash}, which belongs to the server" if clash else None


def overlap(one: str, other: str) -> bool:
    """Return whether some subject matches both."""
    for mine, theirs in zip(one.split("."), other.split("."), strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    mine_count, their_count = one.count("."), other.count(".")
    return mine_count == their_count
