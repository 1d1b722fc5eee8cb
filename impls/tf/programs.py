"""Compiled programs that are kept for the next fit of the network.

A program is of the variables of its model and optimizer, and takes
seconds to trace and compile.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

LARGE = 2**26  # numbers in variables that are kept


class Kept:
    """Programs that no fit is using; those used least lately go."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = Lock()
        self.programs: OrderedDict[Hashable, Any] = OrderedDict()

    @contextmanager
    def lent(
        self, key: Hashable, make: Callable[[], Any]
    ) -> Iterator[Any]:
        """Lend the program of this key, or a new one, to one fit.

        One that fails keeps it: who has a report may still ask for the
        weights.
        """
        with self.lock:
            program = self.programs.pop(key, None)
        program = make() if program is None else program
        yield program
        self.give(key, program)

    def give(self, key: Hashable, program: Any) -> None:
        """Take a program back, and let go of what is too much."""
        with self.lock:
            self.programs[key] = program
            while (
                len(self.programs) > self.most or self.numbers() > LARGE
            ):
                self.programs.popitem(last=False)

    def numbers(self) -> int:
        """Return how many numbers the variables of all hold."""
        every = [v for p in self.programs.values() for v in p.variables]
        return sum(v.shape.num_elements() for v in every)


kept = Kept(most=16)
