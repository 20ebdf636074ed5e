"""Example tests that are run again with a protection switched off: then they must fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

TestT = TypeVar("TestT", bound=Callable[..., None])


def notices(*rules: str, raises: type[BaseException] = AssertionError) -> Callable[[TestT], TestT]:
    """Mark a test as the one that notices breaks.

    It is run as it is and, among the long tests, once per break, with the fixture ``protections``
    switching that off. There it must fail.

    :param rules: keys of ``tests.simulation.breaks.BREAKS``.
    :param raises: how it fails; any other error is a fault of the break or the test.
    """
    failing = pytest.mark.xfail(raises=raises, strict=True, reason="a protection is switched off")
    off = [pytest.param(one, id=f"no {one}", marks=[pytest.mark.long, failing]) for one in rules]
    on = pytest.param(None, id=pytest.HIDDEN_PARAM)

    def marked(test: TestT) -> TestT:
        pytest.mark.parametrize("protections", [on, *off], indirect=True)(test)
        pytest.mark.usefixtures("protections")(test)
        return test  # marks are kept in the function itself

    return marked
