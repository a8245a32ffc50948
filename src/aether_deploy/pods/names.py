"""How long names of objects may be."""

NAME_MAX = 63
CONTROLLER_NAME_MAX = 52
"""A StatefulSet's pods have ``<name>-<10 characters>`` as a label, and a CronJob's Jobs as their name; both have 63."""


def name_max(kind: str) -> int:
    """Return the most characters that a name of an object of ``kind`` may have."""
    return CONTROLLER_NAME_MAX if kind in ("CronJob", "StatefulSet") else NAME_MAX
