"""How long something takes, where that is not one number."""

import msgspec


class TimeSpan(msgspec.Struct, frozen=True):
    """How long something takes: at best, on average and at worst; seconds."""

    best: float
    mean: float
    worst: float

    def __add__(self, other: "TimeSpan") -> "TimeSpan":
        return TimeSpan(self.best + other.best, self.mean + other.mean, self.worst + other.worst)

    def __str__(self) -> str:
        """Return all three: ``22.6 / 27.6 / 32.9``."""
        return f"{self.best:.1f} / {self.mean:.1f} / {self.worst:.1f}"

    def later(self, secs: float) -> "TimeSpan":
        """Return the same times, all later."""
        return self + TimeSpan(secs, secs, secs)

    def rounded(self) -> "TimeSpan":
        """Return them as machines read them, to a hundredth."""
        return TimeSpan(round(self.best, 2), round(self.mean, 2), round(self.worst, 2))

    def range_text(self, between: str = "-") -> str:
        """Return best and worst as people read them: ``20-33 s``, ``0.2 to 1.5 s``."""
        best, worst = _short(self.best), _short(self.worst)
        return f"{best} s" if best == worst else f"{best}{between}{worst} s"


def _short(secs: float) -> str:
    tenths = round(secs, 1)
    return f"{tenths:.1f}" if tenths < 10 and tenths != int(tenths) else f"{secs:.0f}"
