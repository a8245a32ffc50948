"""Resource quantities and durations, read and written as Kubernetes does.

A quantity (``500m``, ``1.5Gi``, ``1e3``) is held as a whole number of nano units: Kubernetes keeps nothing
finer, and whole numbers compare and print without rounding surprises.

Rule:
    ``k8s.io/apimachinery/pkg/api/resource``: ``ParseQuantity`` and ``CanonicalizeBytes``. We refuse three
    kinds of text which that code takes, because no one can mean what it does with them: a number without a
    digit (``Mi`` is read as zero), multiples of 1000E, which print as another amount (``1000E`` prints as
    ``1``), and absurdly long numbers and exponents (the exponent silently wraps at 32 bits).
"""

from functools import lru_cache

from aether_deploy.patterns import Pattern

BINARY = "binary"
DECIMAL = "decimal"
EXPONENT = "exponent"

_NANOS = 10**9
_INT64_MAX = 2**63 - 1
_DIGITS_MAX = 1000
_EXA = 18
# There is no suffix above E: Go finds none, and writes none.
_UNPRINTABLE_NANOS = _NANOS * 10 ** (_EXA + 3)

_NUMBER = r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?"
_QUANTITY = Pattern(_NUMBER + r"(?P<suffix>(?:[eE][+-]?[0-9]+)|[a-zA-Z]*)")
_EXPONENT_SUFFIX = Pattern(r"[eE][+-]?[0-9]+")
_BINARY_SHIFT = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_POWER = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL_POWER.items()}
_BINARY_SUFFIX = ("", *_BINARY_SHIFT)
_SLIPS = {"K": "k or Ki", "ki": "Ki", "mi": "Mi", "gi": "Gi", "g": "G or Gi", "t": "T or Ti"}

# Go's time.Duration counts nanoseconds in 64 bits.
_DURATION_MAX_SECS = _INT64_MAX // _NANOS
_DURATION = Pattern(r"(?=[0-9])(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


class QuantityError(ValueError):
    """The text is no quantity; the message says why."""


class DurationError(ValueError):
    """The text is no duration of whole seconds; the message says why."""


class Quantity:
    """An exact amount, and the family of suffixes it was written with.

    Quantities compare, and hash, by amount alone: ``1000m``, ``1`` and ``1e0`` are equal. ``str`` gives the
    canonical form, which depends on the family as well.

    Attributes:
        nanos: The amount in units of 10^-9.
        format: ``binary`` (``1Gi``), ``decimal`` (``1G``, ``1``) or ``exponent`` (``1e9``).
    """

    __slots__ = ("format", "nanos")

    nanos: int
    format: str

    def __init__(self, nanos: int, format: str = DECIMAL) -> None:
        object.__setattr__(self, "nanos", nanos)
        object.__setattr__(self, "format", format)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Quantity cannot be changed: {name}")

    def __reduce__(self) -> tuple[type["Quantity"], tuple[int, str]]:
        return Quantity, (self.nanos, self.format)

    def __eq__(self, other: object) -> bool:
        return self.nanos == other.nanos if isinstance(other, Quantity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: "Quantity") -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: "Quantity") -> bool:
        return self.nanos <= other.nanos

    def __gt__(self, other: "Quantity") -> bool:
        return self.nanos > other.nanos

    def __ge__(self, other: "Quantity") -> bool:
        return self.nanos >= other.nanos

    def __str__(self) -> str:
        return _print(self)

    def __repr__(self) -> str:
        return f"Quantity(nanos={self.nanos}, format={self.format!r})"

    @property
    def value(self) -> int:
        """The amount in whole units (bytes, cores), rounded away from zero."""
        return _divide_away(self.nanos, _NANOS)

    @property
    def millis(self) -> int:
        """The amount in thousandths (millicores), rounded away from zero."""
        return _divide_away(self.nanos, _NANOS // 1000)


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Quantity:
    """Return the amount that ``text`` stands for.

    Amounts finer than a nano unit round away from zero, so that who asks for something gets something;
    binary amounts beyond 64 bits become the largest one.

    Args:
        text: Sign, decimal number and suffix without a space: ``500m``, ``-1.5Gi``, ``.5``, ``12e-3``.

    Raises:
        QuantityError: When ``text`` is no quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise QuantityError("no quantity: a number and a suffix, without spaces, such as 500m or 1.5Gi")
    sign, whole, fraction, suffix = match["sign"], match["whole"], match["fraction"] or "", match["suffix"]
    digits = whole + fraction
    if not digits:
        raise QuantityError("has no digit")
    if len(digits) > _DIGITS_MAX:
        raise QuantityError(f"has more than {_DIGITS_MAX} digits")
    format, shift, power = _read_suffix(suffix)
    nanos = _scale_away(int(digits) << shift, power - len(fraction) + 9)
    if format == BINARY:
        nanos = min(nanos, _INT64_MAX * _NANOS)
    if format == DECIMAL and nanos and nanos % _UNPRINTABLE_NANOS == 0:
        raise QuantityError("too large: Kubernetes prints it as another amount; an exponent such as e21 is kept")
    return Quantity(-nanos if sign == "-" else nanos, format)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the canonical form of a quantity: no fraction, no plus sign, the largest suffix that fits.

    Raises:
        QuantityError: When ``text`` is no quantity.

    Rule:
        Go's ``CanonicalizeBytes``, applied until the text stays as it is. That takes Go a second time for one
        kind of text only: ``15.625Ki`` becomes ``16000``, and that becomes ``16k``.

    Example:
        >>> [canonical(text) for text in ("1000m", "0.5", "1024Mi", "1.5Gi", "1e4")]
        ['1', '500m', '1Gi', '1536Mi', '10e3']
    """
    return _print(parse_quantity(text))


def bytes_of(text: str) -> int:
    """Return an amount of memory in bytes, rounded away from zero: ``1Ki`` is 1024."""
    return parse_quantity(text).value


def millis_of(text: str) -> int:
    """Return an amount of processor time in millicores, rounded away from zero: ``0.5`` is 500."""
    return parse_quantity(text).millis


def parse_duration_secs(text: str) -> int:
    """Return the seconds of a duration such as ``1h30m``, ``15m`` or ``90s``.

    Hours, minutes and seconds come in this order, each at most once and whole: Go reads every such text, and
    so does Prometheus.

    Raises:
        DurationError: When ``text`` is anything else, or longer than Go can count.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise DurationError("no duration: whole hours, minutes and seconds in this order, such as 1h30m or 90s")
    if len(text) > _DIGITS_MAX:
        raise DurationError(f"has more than {_DIGITS_MAX} digits")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    secs = hours * 3600 + minutes * 60 + seconds
    if secs > _DURATION_MAX_SECS:
        raise DurationError(f"longer than {_DURATION_MAX_SECS}s, the longest duration that Go can count")
    return secs


def canonical_duration(secs: int) -> str:
    """Return the shortest text for ``secs`` seconds: ``1h30m``, ``15m``, ``1m30s``, ``0s``.

    Raises:
        DurationError: When ``secs`` is negative, or longer than Go can count.
    """
    if not 0 <= secs <= _DURATION_MAX_SECS:
        raise DurationError(f"outside of 0s to {_DURATION_MAX_SECS}s")
    minutes, seconds = divmod(secs, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _read_suffix(suffix: str) -> tuple[str, int, int]:
    """Return format, power of two and power of ten of a suffix."""
    if suffix in _DECIMAL_POWER:
        return DECIMAL, 0, _DECIMAL_POWER[suffix]
    if suffix in _BINARY_SHIFT:
        return BINARY, _BINARY_SHIFT[suffix], 0
    if not _EXPONENT_SUFFIX.fullmatch(suffix):
        slip = _SLIPS.get(suffix)
        known = "n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent such as e3"
        raise QuantityError(f"has the unknown suffix {suffix}: " + (f"use {slip}" if slip else f"use {known}"))
    if len(suffix) > _DIGITS_MAX or abs(int(suffix[1:])) > _DIGITS_MAX:
        raise QuantityError(f"has an exponent beyond {_DIGITS_MAX}")
    return EXPONENT, 0, int(suffix[1:])


def _print(quantity: Quantity) -> str:
    nanos = quantity.nanos
    if not nanos:
        return "0"
    # No binary suffix fits a binary amount below 1Ki, or with a fraction of 1Ki: 0.5Ki is 512.
    if quantity.format == BINARY and nanos % (1024 * _NANOS) == 0:
        return _print_binary(nanos // _NANOS)
    return _print_decimal(nanos, exponent=quantity.format == EXPONENT)


def _print_binary(units: int) -> str:
    times = 0
    while units % 1024 == 0:
        units //= 1024
        times += 1
    return f"{units}{_BINARY_SUFFIX[times]}"


def _print_decimal(nanos: int, *, exponent: bool) -> str:
    number, power = nanos, -9
    while number % 1000 == 0 and (exponent or power < _EXA):
        number //= 1000
        power += 3
    if exponent:
        return f"{number}e{power}" if power else str(number)
    return f"{number}{_DECIMAL_SUFFIX[power]}"


def _scale_away(number: int, power: int) -> int:
    """Return ``number * 10**power`` of a number that is not negative, rounded away from zero."""
    return number * 10**power if power >= 0 else _divide_away(number, 10**-power)


def _divide_away(number: int, divisor: int) -> int:
    return -(-number // divisor) if number >= 0 else number // divisor
