"""What the first task of a rebuild works on."""

from __future__ import annotations

from dataclasses import dataclass

from elasticsearch import Elasticsearch

from movies_etl import __version__
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es.index import Index
from movies_etl.postgres.source import Source
from movies_etl.rebuild.plan import Runs, Stores
from movies_etl.settings import Settings
from movies_etl.state.run_context import RunContext
from movies_etl.sync.measuring import known_before, measure


@dataclass(frozen=True)
class Beginning:
    """The servers and stores of the first task."""

    source: Source
    client: Elasticsearch
    state: Stores
    settings: Settings
    runs: Runs

    @property
    def definition(self) -> IndexDefinition:
        """What is rebuilt."""
        return self.source.definition

    def context_of(self, index: Index) -> RunContext:
        """Return what tasks need to load an index without the alias: measured at this moment."""
        source = self.source
        _, database = source.identity()
        root = self.state.cursors.load(self.definition.root.name)
        known = known_before(self.state.horizons, root, database)
        measured = measure(source, self.settings, known)
        return RunContext(
            index=index.name,
            uuid=index.uuid(),
            beside=True,
            history=index.history(),
            database=database,
            m2m_start=measured.now,
            horizon=measured.horizon,
            version=source.server.clock(),
            program=__version__,
        )
