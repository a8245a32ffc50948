"""The life of what boots here: entered it runs, and left it is gone, however that happens."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from aether_deploy.lab.interrupts import deferred


class Booted(ABC):
    """A context manager that boots programs, and ends them when it is left or could not boot."""

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything and remove its files; safe to call twice. Ctrl-C waits until it is done."""
        with deferred():
            self._end()

    @abstractmethod
    def _boot(self) -> None:
        """Start everything; what fails half-way is ended."""

    @abstractmethod
    def _end(self) -> None:
        """End what was started; called again it does nothing."""
