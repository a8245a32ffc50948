"""Numbers as Go computes them on amd64, where they differ from Python's: conversions, division, overflow."""

import math

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
_INT32_MIN = -(2**31)
_INT64_MIN = -(2**63)


def ratio_of(value: float, target: float) -> float:
    """Return the quotient of both as doubles; by zero, it is infinite or no number."""
    if target:
        return float(value) / float(target)
    return math.nan if not value else math.copysign(math.inf, value)


def ceil_int32(number: float) -> int:
    """Return ``int32(math.Ceil(number))``: where that does not fit, the least number, as amd64 has it."""
    if not -2147483649.0 < number <= 2147483647.0:
        return _INT32_MIN
    return math.ceil(number)


def truncate_int32(number: float) -> int:
    """Return ``int32(number)``: towards zero; where that does not fit, the least number, as amd64 has it."""
    if not -2147483649.0 < number < 2147483648.0:
        return _INT32_MIN
    return int(number)


def ceil_int64(number: float) -> int:
    """Return ``int64(math.Ceil(number))``: where that does not fit, the least number, as amd64 has it."""
    if not -9223372036854775808.0 <= number < 9223372036854775808.0:
        return _INT64_MIN
    return math.ceil(number)


def wrap_int64(number: int) -> int:
    """Return what 64 bits keep of ``number``."""
    return (number + 2**63) % 2**64 - 2**63


def wrap_int32(number: int) -> int:
    """Return what 32 bits keep of ``number``."""
    return (number + 2**31) % 2**32 - 2**31


def divide(number: int, divisor: int) -> int:
    """Return the quotient, truncated towards zero."""
    return number // divisor if (number >= 0) == (divisor > 0) else -(-number // divisor)
