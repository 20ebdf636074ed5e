"""Switches that turn a protection of the program off, from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from unittest import mock

Break = Callable[[], AbstractContextManager[object]]


class Switches(dict[str, Break]):
    """Breaks by the rule of the design whose protection they switch off."""

    def rule(self, name: str) -> Callable[[Break], Break]:
        """Keep the decorated break as that of a rule."""

        def kept(broken: Break) -> Break:
            self[name] = broken
            return broken

        return kept


@contextmanager
def patched(*changes: tuple[object, str, object]) -> Iterator[None]:
    """Replace attributes for a while.

    :param changes: owner, name and value of each.
    """
    with ExitStack() as stack:
        for owner, name, value in changes:
            stack.enter_context(mock.patch.object(owner, name, value))
        yield
