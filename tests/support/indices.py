"""Tests that run over several declared indices."""

from __future__ import annotations

import pytest
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.genres import GENRES
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS


def over(*definitions: IndexDefinition) -> pytest.MarkDecorator:
    """Return a mark that runs a test once per index: the fixture ``site`` syncs that index."""
    return pytest.mark.parametrize("definition", definitions, ids=[one.name for one in definitions])


INDEXES = (MOVIES, GENRES, PERSONS)
"""The indexes whose documents ``expected.py`` builds by code of its own."""

each_index = over(*INDEXES)
"""Run a test over each of them."""
