"""Where players are: groups of them that a router decides alike, from CSV text or by the capacity of regions.

The columns are ``players`` and who they are: their home ``region``, or their position as ``lat`` and ``lon``, or both;
``residency`` names the rule that they are under. In any order:

    region,players,residency
    us-east-1,1200,
    eu-west-1,800,eu-players
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

import msgspec

from aether_deploy.patterns import Pattern
from aether_deploy.problems import ConfigError, Problem, shown, suggestion
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import Position
from aether_deploy.simulation.csv_cells import BINARY, BYTE_ORDER_MARK, MAX_LINE_BYTES, Cell, Problems, split_cells
from aether_deploy.simulation.traces import MAX_PLAYERS

REGION, LAT, LON, PLAYERS, RESIDENCY = COLUMNS = ("region", "lat", "lon", "players", "residency")
BEGIN = "begin with the line region,players or lat,lon,players"
MAX_GROUPS = 100_000
DEFAULT_FILL_PERCENT = 60

_DEGREES = Pattern(r"[-+]?(\d+\.?\d*|\.\d+)")


class PlayerGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Players whom a router cannot tell from each other, but for their names.

    Attributes:
        players: How many they are.
        region: Their home region, which they prefer.
        position: Where they are.
        residency: The residency rule that they are under.
    """

    players: int
    region: str | None = None
    position: Position | None = None
    residency: str | None = None

    @property
    def name(self) -> str:
        """Who they are, in one word."""
        at = "" if self.position is None else f"{self.position.lat:g},{self.position.lon:g}"
        return "/".join(part for part in (self.region, at, self.residency) if part)

    def request(self, player: str, *, sticky: str | None = None) -> RouteRequest:
        """Return what one of them, called ``player``, asks a router; ``sticky`` is where he was before."""
        return RouteRequest(
            player=player,
            preferred=self.region,
            position=self.position,
            residency=self.residency,
            sticky=sticky,
        )


def filled_players(config: RouterConfig, percent: int) -> tuple[PlayerGroup, ...]:
    """Return players at home in each region that has a capacity, as many as fill ``percent`` of it, rounded down."""
    return tuple(
        PlayerGroup(players=region.capacity_players * percent // 100, region=region.code)
        for region in config.regions
        if region.capacity_players is not None
    )


def read_players(
    lines: Iterable[bytes], file: str = "players", *, regions: Collection[str], residencies: Collection[str] = ()
) -> tuple[PlayerGroup, ...]:
    """Return the groups of players that ``lines`` of CSV text hold, equal ones as one, in the order of the text.

    Args:
        lines: Lines with their ends, as iterating over a file gives them.
        file: What to call them in problems.
        regions: Codes that a home may be.
        residencies: Names of the rules that players may be under.

    Raises:
        ConfigError: With every problem, each with line and column; the first 20 where there are more.
    """
    return _Reader(file, tuple(regions), tuple(residencies)).read(iter(lines))


class _Reader:
    """Reads one file, line by line."""

    def __init__(self, file: str, regions: Sequence[str], residencies: Sequence[str]) -> None:
        self._problems = Problems(file)
        self._regions = regions
        self._residencies = residencies
        self._line = 0
        self._blank = 0
        self._columns: list[str] = []
        self._groups: dict[tuple[object, ...], PlayerGroup] = {}

    def read(self, lines: Iterator[bytes]) -> tuple[PlayerGroup, ...]:
        self._read_header(next(lines, b""))
        for line in lines:
            self._line += 1
            if self._line > MAX_GROUPS + 1:
                self._stop(1, f"has more than {MAX_GROUPS} lines", "sum up players who are near each other")
            self._read_line(line)
        if not self._groups and not self._problems.count:
            self._problems.add(self._line, 1, "$", "has no players", "add a line for each group of players")
        if self._problems.count:
            raise ConfigError(self._problems.listed())
        return tuple(self._groups.values())

    def _read_header(self, line: bytes) -> None:
        self._line = 1
        line = line.removeprefix(BYTE_ORDER_MARK)
        if not line.strip():
            self._stop(1, "begins with an empty line" if line else "is empty", BEGIN)
        cells = self._cells(line)
        names = [cell.text for cell in cells]
        if len(cells) == 1 and (mark := next((each for each in ";\t|" if each in names[0]), None)):
            self._stop(1, f"is separated by {shown(mark)}", "separate the columns by commas")
        for place, cell in enumerate(cells):
            if cell.text not in COLUMNS:
                fix = suggestion(cell.text, COLUMNS, f"columns are {', '.join(COLUMNS)}")
                self._add(cell, "$", "no column of players", fix)
            elif cell.text in names[:place]:
                self._add(cell, "$", "named twice", "remove one of the two columns")
        if not self._problems.count:
            self._check_columns(names)
        if self._problems.count:
            raise ConfigError(self._problems.listed())
        self._columns = names

    def _check_columns(self, names: Sequence[str]) -> None:
        if PLAYERS not in names:
            self._problems.add(1, 1, "$", f"has no column {PLAYERS}", "add it: how many players a line stands for")
        if (LAT in names) != (LON in names):
            missing = LON if LAT in names else LAT
            self._problems.add(1, 1, "$", f"has no column {missing}", f"a position is {LAT} and {LON}: add it")
        elif REGION not in names and LAT not in names:
            fix = f"add {REGION}, their home, or {LAT} and {LON}"
            self._problems.add(1, 1, "$", "does not say where players are", fix)

    def _read_line(self, line: bytes) -> None:
        if not line.strip():
            self._blank = self._blank or self._line
            return
        if self._blank:
            self._problems.add(self._blank, 1, "$", "is an empty line between players", "remove it")
            self._blank = 0
        cells = self._cells(line)
        if not cells[-1].closed:
            self._add(cells[-1], "$", "has a quote that is not closed", "close it, or write the value without quotes")
        elif len(cells) != len(self._columns):
            width = len(self._columns)
            where = cells[width] if len(cells) > width else cells[-1]
            fix = "remove what is too much" if len(cells) > width else "add what is missing; a comma stands between two"
            said = f"has {len(cells)} column{'s' * (len(cells) != 1)}, where the header has {width}"
            self._problems.add(self._line, where.column, "$", said, fix)
        else:
            self._read_group(dict(zip(self._columns, cells, strict=True)))

    def _read_group(self, cells: Mapping[str, Cell]) -> None:
        before = self._problems.count
        values = {
            "region": self._known(cells.get(REGION), REGION, self._regions, "region"),
            "position": self._position(cells),
            "residency": self._known(cells.get(RESIDENCY), RESIDENCY, self._residencies, "residency rule"),
        }
        if not any(cells[name].text for name in (REGION, LAT, LON) if name in cells):
            where = next(cells[name] for name in (REGION, LAT) if name in cells)
            self._problems.add(self._line, where.column, "$", "does not say where they are", "give it, or a position")
        players = self._players(cells[PLAYERS])
        if self._problems.count == before:
            key = tuple(values.values())
            known = self._groups.get(key)
            total = players + (known.players if known else 0)
            self._groups[key] = PlayerGroup(players=total, **values)  # type: ignore[arg-type]

    def _known(self, cell: Cell | None, path: str, known: Sequence[str], what: str) -> str | None:
        if cell is None or not cell.text:
            return None
        if cell.text not in known:
            otherwise = f"known are {', '.join(known)}" if known else f"the description has no {what}: remove it"
            self._add(cell, path, f"no {what} of the description", suggestion(cell.text, known, otherwise))
        return cell.text

    def _position(self, cells: Mapping[str, Cell]) -> Position | None:
        if LAT not in cells or not (cells[LAT].text or cells[LON].text):
            return None
        lat, lon = self._degrees(cells[LAT], LAT, 90.0), self._degrees(cells[LON], LON, 180.0)
        return Position(lat, lon)

    def _degrees(self, cell: Cell, path: str, most: float) -> float:
        if not cell.text:
            self._problems.add(self._line, cell.column, path, "has no value", f"a position is {LAT} and {LON}: give it")
        elif not (cell.text.isascii() and _DEGREES.fullmatch(cell.text)):
            self._add(cell, path, "not a number of degrees", "write it as 38.95 or -77.45")
        elif not -most <= float(cell.text) <= most:
            self._add(cell, path, f"not between -{most:g} and {most:g}", "correct it, or exchange lat and lon")
        else:
            return float(cell.text)
        return 0.0

    def _players(self, cell: Cell) -> int:
        text = cell.text
        if not text:
            self._problems.add(self._line, cell.column, PLAYERS, "has no value", "give it, or remove the line")
        elif not (text.isascii() and text.isdigit()):
            self._add(cell, PLAYERS, "not a whole number", "write it in digits only, without signs and separators")
        elif len(text.lstrip("0")) > 15 or int(text) > MAX_PLAYERS:
            self._add(cell, PLAYERS, f"more than {MAX_PLAYERS}", "correct the number")
        else:
            return int(text)
        return 0

    def _add(self, cell: Cell, path: str, reason: str, fix: str) -> None:
        self._problems.add(self._line, cell.column, path, reason, fix, value=shown(cell.text))

    def _cells(self, line: bytes) -> list[Cell]:
        if len(line) > MAX_LINE_BYTES:
            self._stop(1, f"has a line of more than {MAX_LINE_BYTES} bytes", f"{BEGIN}, then a line for each group")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            self._stop_at(len(line[: error.start].decode("utf-8")) + 1, f"0x{line[error.start]:02X}, not UTF-8", line)
        if "\0" in text:
            self._stop_at(text.index("\0") + 1, "0x00, not text", line)
        text = text.removesuffix("\n").removesuffix("\r")
        if "\r" in text:
            self._stop(1, "has lines that end in a carriage return alone", "save it with lines that end in LF or CRLF")
        return list(split_cells(text))

    def _stop_at(self, column: int, byte: str, line: bytes) -> NoReturn:
        kind = next((kind for mark, kind in BINARY.items() if self._line == 1 and line.startswith(mark)), None)
        if kind:
            self._stop(1, f"is {kind}, not UTF-8 text", "save it as CSV text in UTF-8")
        self._stop(column, f"holds the byte {byte}", "save it as CSV text in UTF-8")

    def _stop(self, column: int, reason: str, fix: str) -> NoReturn:
        """End with a problem after which nothing more can be read."""
        self._problems.add(self._line, column, "$", reason, fix)
        raise ConfigError(self._problems.listed())


def no_players_problem() -> Problem:
    """Return what is wrong where nobody says how many players there are, nor what regions hold."""
    reason = "no region has a capacity that could be filled with players"
    fix = "give --players FILE.csv, or regions[].capacity_players"
    return Problem(path="$.regions", reason=reason, fix=fix)
