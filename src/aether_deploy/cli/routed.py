"""What the routing verbs share: the router's configuration of a description, and what is said of regions."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

import msgspec

from aether_deploy.cli.inputs import Asked, judge, print_warnings, read_files, stop_for_problems
from aether_deploy.cli.output import print_problems
from aether_deploy.delivery.loading import Description, Judgement
from aether_deploy.patterns import Pattern
from aether_deploy.platform.routing import router_config
from aether_deploy.problems import ConfigError, Problem, shown, suggestion
from aether_deploy.routing.request import Measurement
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import DrainMode, Position

T = TypeVar("T")
DRAINS = tuple(mode for mode in get_args(DrainMode) if mode != "none")
MOST_MS = 600_000.0
MOST_LOAD_PERCENT = 10_000.0

_NUMBER = Pattern(r"[-+]?(\d+\.?\d*|\.\d+)")


class RoutingQuestion(Asked, frozen=True, kw_only=True):
    """What is asked about routing.

    Attributes:
        config: What a router of the description is told.
    """

    config: RouterConfig

    @property
    def codes(self) -> tuple[str, ...]:
        """The regions, in file order."""
        return self.config.codes

    def warn(self, hints: Sequence[Problem] = ()) -> tuple[Problem, ...]:
        """Print what stops no verb, and return it for the JSON object; ``hints`` are about the options."""
        if not self.as_json:
            print_warnings(self.description, self.judgement, quiet=self.quiet)
            if not self.quiet:
                print_problems(hints, sys.stderr)
        return (*self.judgement.problems, *hints)


def read_routing(
    files: Sequence[str], settings: Sequence[str], environment: str | None
) -> tuple[Description, Judgement, RouterConfig | None]:
    """Read a description; return it, what it amounts to, and what a router of it is told: None where it has faults."""
    description = read_files(files, settings)
    judgement = judge(description, environment, every=False)
    return description, judgement, None if judgement.failed else router_config(judgement.platforms[0])


def ask_routing(
    files: Sequence[str],
    environment: str | None,
    settings: Sequence[str],
    *,
    verb: str,
    as_json: bool,
    quiet: bool,
    beside: Sequence[Problem] = (),
) -> RoutingQuestion | int:
    """Read a description and return the question, or the exit code where it has faults, which are reported then.

    Faults of options that are known already, ``beside``, are reported with them.
    """
    description, judgement, config = read_routing(files, settings, environment)
    if config is None:
        return stop_for_problems(verb, description, judgement.with_problems(beside), as_json=as_json)
    return RoutingQuestion(description=description, judgement=judgement, config=config, as_json=as_json, quiet=quiet)


class Options:
    """Reads what options say of regions, and keeps every fault until all are read."""

    def __init__(self, codes: Sequence[str]) -> None:
        self._codes = codes
        self._problems: list[Problem] = []

    def stop_for_faults(self) -> None:
        """End with the faults, where there are any.

        Raises:
            ConfigError: With all of them.
        """
        if self._problems:
            raise ConfigError(self._problems)

    def regions(self, option: str, text: str | None) -> tuple[str, ...]:
        """Return the regions of ``A,B``, each once."""
        if text is None:
            return ()
        codes = [part.strip() for part in text.split(",")]
        return tuple(dict.fromkeys(code for code in codes if self._is_region(f"{option} {text}", code)))

    def loads(self, option: str, texts: Sequence[str]) -> dict[str, float]:
        """Return the loads of ``REGION=PERCENT``, as shares."""
        numbers = self._numbers(option, texts, "PERCENT", MOST_LOAD_PERCENT)
        return {code: percent / 100 for code, percent in numbers.items()}

    def measured(self, option: str, texts: Sequence[str]) -> dict[str, Measurement]:
        """Return the measurements of ``REGION=MS``."""
        return {code: Measurement(rtt_ms=ms) for code, ms in self._numbers(option, texts, "MS", MOST_MS).items()}

    def drains(self, option: str, texts: Sequence[str]) -> dict[str, DrainMode]:
        """Return the drains of ``REGION`` or ``REGION=MODE``; left out, the mode is soft."""
        found: dict[str, DrainMode] = {}
        for text in texts:
            code, equals, mode = text.partition("=")
            where = f"{option} {text}"
            if not self._is_region(where, code):
                continue
            if equals and mode not in DRAINS:
                fix = suggestion(mode, DRAINS, f"write {' or '.join(DRAINS)}")
                self._add(where, f"{shown(mode)} is no way to drain", fix)
            elif self._is_first(where, code, found):
                found[code] = "hard" if mode == "hard" else "soft"
        return found

    def position(self, option: str, text: str | None) -> Position | None:
        """Return the position of ``LAT,LON``."""
        if text is None:
            return None
        numbers = [float(part) if _NUMBER.fullmatch(part.strip()) else None for part in text.split(",")]
        where, fix = f"{option} {text}", "write degrees north and east, such as 38.95,-77.45"
        if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
            self._add(where, "no latitude and longitude", fix)
        elif abs(numbers[0]) > 90 or abs(numbers[1]) > 180:
            self._add(where, "not on Earth: latitudes end at 90 degrees, longitudes at 180", fix)
        else:
            return Position(numbers[0], numbers[1])
        return None

    def one_of(self, option: str, text: str | None, known: Sequence[str], what: str) -> str | None:
        """Return a word that must be known."""
        if text is not None and text not in known:
            otherwise = f"known are {', '.join(known)}" if known else f"the description has no {what}: leave it out"
            self._add(f"{option} {text}", f"no {what} has that name", suggestion(text, known, otherwise))
        return text

    def _numbers(self, option: str, texts: Sequence[str], unit: str, most: float) -> dict[str, float]:
        found: dict[str, float] = {}
        for text in texts:
            code, equals, number = text.partition("=")
            where = f"{option} {text}"
            if not equals:
                self._add(where, "has no '='", f"write REGION={unit}")
            elif self._is_region(where, code):
                if not _NUMBER.fullmatch(number) or not 0 <= float(number) <= most:
                    self._add(where, f"{shown(number)} is no number from 0 to {most:g}", f"write REGION={unit}")
                elif self._is_first(where, code, found):
                    found[code] = float(number)
        return found

    def _is_first(self, where: str, code: str, found: Mapping[str, object]) -> bool:
        if code in found:
            self._add(where, f"{code} was said already", "say each region once")
        return code not in found

    def _is_region(self, where: str, code: str) -> bool:
        if code in self._codes:
            return True
        fix = suggestion(code, self._codes, f"known are {', '.join(self._codes)}")
        self._add(where, f"no region is named {shown(code)}", fix)
        return False

    def _add(self, where: str, reason: str, fix: str) -> None:
        self._problems.append(Problem(path=where, reason=reason, fix=fix))


def plain(value: Any) -> Any:
    """Return an answer for machines: milliseconds and shares to a thousandth, everything else as it is."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value
