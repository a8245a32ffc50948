"""What Patroni's daemon makes of a dynamic configuration: it refuses nothing that it can bend, and bends in silence.

Values are plain: what JSON or YAML holds, as it stands in the store. Rule of it all: Patroni 4.1.5,
``patroni/config.py``, ``patroni/global_config.py`` and ``patroni/utils.py``.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from aether_deploy.patterns import Pattern

TIMINGS: Mapping[str, tuple[int, int]] = {"loop_wait": (10, 1), "retry_timeout": (10, 3), "ttl": (30, 20)}
"""Default and minimum of each timing, whole seconds, in the order in which the daemon reads them."""

_NUMBERS = {
    "maximum_lag_on_failover": 1_048_576,
    "maximum_lag_on_syncnode": -1,
    "max_timelines_history": 0,
}
_SWITCHES = ("synchronous_mode_strict", "failsafe_mode", "check_timeline", "pause")
_FORMER = {"primary_start_timeout": ("master_start_timeout", 300), "primary_stop_timeout": ("master_stop_timeout", 0)}

_HEX = Pattern(r"[-+]?0x[0-9a-fA-F]+")
_OCTAL = Pattern(r"[-+]?0[0-7]*")
_DECIMAL = Pattern(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = Pattern(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")

# Seconds in a unit, and in the next smaller one, to a multiple of which a converted value is rounded.
_TIME_UNITS = {"d": (86_400.0, 3600.0), "h": (3600.0, 60.0), "min": (60.0, 1.0), "s": (1.0, 1e-3), "ms": (1e-3, 1e-6)}


def patroni_effective(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that a daemon runs with after it read ``config`` as its first dynamic configuration.

    Args:
        config: The dynamic configuration, as plain values. A key that is missing counts as its default.

    Returns:
        ``loop_wait``, ``retry_timeout`` and ``ttl`` (seconds), ``maximum_lag_on_failover`` and
        ``maximum_lag_on_syncnode`` (bytes), and the other settings of failover, each as the daemon takes it. Where it
        refuses the configuration, which :func:`patroni_refusal` says, these are the defaults, because it keeps what
        it had.

    Raises:
        TypeError: If ``config`` is no mapping of settings; an empty one is: all defaults.
    """
    taken = {} if patroni_refusal(config) else config
    timings = {name: _timing(taken, name) for name in TIMINGS}
    return {**_within_ttl(**timings), **_others(taken)}


def patroni_refusal(config: Mapping[str, Any]) -> str | None:
    """Return why the daemon would refuse all of ``config`` and keep what it had, or None if it takes it.

    One timing that is no number is enough; nothing else is ever refused.

    Raises:
        TypeError: If ``config`` is no mapping of settings.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"a dynamic configuration maps settings to values; {config!r} does not, {{}} has all defaults")
    for name in TIMINGS:
        try:
            _timing(config, name)
        except (TypeError, ValueError, OverflowError):
            return f"{name} is {config[name]!r}, which is no whole number of seconds"
    return None


def _timing(config: Mapping[str, Any], name: str) -> int:
    default, least = TIMINGS[name]
    return max(int(config.get(name, default)), least)


def _within_ttl(loop_wait: int, retry_timeout: int, ttl: int) -> dict[str, int]:
    """Make ``loop_wait + 2 * retry_timeout <= ttl`` true: the pause gives way first, retries only if it must."""
    least_wait = TIMINGS["loop_wait"][1]
    if least_wait + 2 * retry_timeout > ttl:
        loop_wait, retry_timeout = least_wait, (ttl - least_wait) // 2
    elif loop_wait + 2 * retry_timeout > ttl:
        loop_wait = ttl - 2 * retry_timeout
    return {"loop_wait": loop_wait, "retry_timeout": retry_timeout, "ttl": ttl}


def _others(config: Mapping[str, Any]) -> dict[str, Any]:
    strict = _is_on(config.get("synchronous_mode_strict"))
    postgresql = config.get("postgresql")
    use_slots = postgresql.get("use_slots", True) if isinstance(postgresql, Mapping) else True
    return {
        **{name: _number(config.get(name), default) for name, default in _NUMBERS.items()},
        **{name: _is_on(config.get(name)) for name in _SWITCHES},
        **{
            name: _number(config.get(name if name in config else former), default)
            for name, (former, default) in _FORMER.items()
        },
        "synchronous_mode": _synchronous_mode(config),
        "synchronous_node_count": max(_number(config.get("synchronous_node_count"), 1), int(strict)),
        "member_slots_ttl": _number(config.get("member_slots_ttl"), 1800, seconds=True),
        "use_slots": _is_on(use_slots),
    }


def _synchronous_mode(config: Mapping[str, Any]) -> bool | Literal["quorum"]:
    standby = config.get("standby_cluster")
    if isinstance(standby, Mapping) and any(standby.get(key) for key in ("host", "port", "restore_command")):
        return False  # a standby cluster acknowledges nothing itself
    mode = config.get("synchronous_mode")
    return "quorum" if str(mode).lower() == "quorum" else _is_on(mode)


def _is_on(value: object) -> bool:
    return str(value).lower() in ("on", "true", "yes", "1")


def _number(value: object, default: int, *, seconds: bool = False) -> int:
    number = read_number(value, seconds=seconds)
    return default if number is None else number


def read_number(value: object, *, seconds: bool = False) -> int | None:
    """Return ``value`` as the daemon, like PostgreSQL, reads a whole number; None where it is none.

    Args:
        value: A number, or text with one: ``0x10``, ``1e6``.
        seconds: It is a time, so that ``30min`` is one.
    """
    text = str(value).strip()
    number, unit = _leading_number(text)
    if number is None or not math.isfinite(number):
        return None
    if not unit:
        return round(number)
    if not seconds:
        return None
    if unit == "us":
        return round(number * 1e-6)
    if unit not in _TIME_UNITS:
        return None
    factor, step = _TIME_UNITS[unit]
    return round(round(number * factor / step) * step)


def _leading_number(text: str) -> tuple[float | None, str]:
    """Return the number that ``text`` begins with, and what follows it."""
    number, rest = _whole(text)
    if (number is None and rest.startswith(".")) or rest[:1] in (".", "e", "E"):
        found = _FLOAT.match(text)
        if found is None:
            return None, text
        return float(found[0]), text[found.end() :].strip()
    return number, rest.strip()


def _whole(text: str) -> tuple[int | None, str]:
    for pattern, base in ((_HEX, 16), (_OCTAL, 8), (_DECIMAL, 10)):
        if found := pattern.match(text):
            return int(found[0], base), text[found.end() :]
    return None, text
