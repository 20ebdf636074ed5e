"""Tests that run over several declared indices."""

from __future__ import annotations

import pytest
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.registry import declared


def over(*definitions: IndexDefinition) -> pytest.MarkDecorator:
    """Return a mark that runs a test once per index: the fixture ``site`` syncs that index."""
    return pytest.mark.parametrize("definition", definitions, ids=[one.name for one in definitions])


each_index = over(*declared().values())
"""Run a test over every declared index."""
