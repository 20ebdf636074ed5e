"""Switches that turn a protection of the program off, from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from inspect import Parameter, getattr_static, isclass, isfunction, signature
from typing import Any
from unittest import mock

_ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

Break = Callable[[], AbstractContextManager[object]]


class Switches(dict[str, Break]):
    """Breaks by the rule (docs/rules.md) whose protection they switch off."""

    def rule(self, name: str) -> Callable[[Break], Break]:
        """Keep the decorated break as that of a rule."""

        def kept(broken: Break) -> Break:
            self[name] = broken
            return broken

        return kept


def always(value: object) -> Callable[..., object]:
    """Return a function that returns this value, whatever it is called with."""
    return lambda *_arguments, **_named: value


@contextmanager
def patched(*changes: tuple[object, str, object]) -> Iterator[None]:
    """Replace attributes for a while.

    :param changes: owner, name and value of each.
    :raises AttributeError: an owner has no such attribute.
    :raises TypeError: a substitute cannot be called as what it replaces is called.
    """
    with ExitStack() as stack:
        for owner, name, value in changes:
            replaced = getattr(owner, name)
            stack.enter_context(mock.patch.object(owner, name, value))
            if callable(replaced):
                _check(owner, name, replaced)
        yield


def _check(owner: Any, name: str, replaced: Callable[..., object]) -> None:
    """Refuse a substitute that could not bind a call of what it replaces."""
    parameters = list(signature(replaced).parameters.values())
    substitute = signature(getattr(owner, name))
    is_method = isclass(owner) and isfunction(getattr_static(owner, name))
    for arguments, named in _calls(parameters, is_method=is_method):
        try:
            substitute.bind(*arguments, **named)
        except TypeError as error:
            where = f"{getattr(owner, '__name__', owner)}.{name}"
            raise TypeError(
                f"{where}{signature(replaced)} is replaced by {substitute}: {error}"
            ) from error


def _calls(
    parameters: list[Parameter], *, is_method: bool
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the calls that parameters allow: by place, by name, and both without the defaults.

    :param is_method: the first one is the object, which is never given by name.
    """
    named_ones = [one for one in parameters if one.kind not in _ANY_NUMBER]
    required = [one for one in named_ones if one.default is Parameter.empty]
    for given in (named_ones, required):
        for first_by_name in (len(given), int(is_method)):
            by_place = [one.kind is not Parameter.KEYWORD_ONLY for one in given[:first_by_name]]
            yield (
                [one.name for one in given[: sum(by_place)]],
                {one.name: one.name for one in given[sum(by_place) :]},
            )
