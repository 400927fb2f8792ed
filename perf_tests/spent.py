"""Where a run's time goes, in seconds by kind of work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter


@dataclass(slots=True)
class Spent:
    """Seconds by kind of work, added up over the cases."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, work: str) -> Iterator[None]:
        """Adds what its block takes, also where it raises."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[work] = self.seconds.get(work, 0.0) + perf_counter() - start
