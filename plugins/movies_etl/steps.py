"""Work that is done step by step, so that something else can be done between two steps."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

ResultT = TypeVar("ResultT")

Steps = Generator[object, None, ResultT]
"""A generator that returns what the work comes to; what it yields are only its steps."""


def result_of(steps: Steps[ResultT]) -> ResultT:
    """Take all the steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: ResultT = end.value
            return result
