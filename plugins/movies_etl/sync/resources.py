"""What a task works with: the servers, and where its state is kept."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field

from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.postgres.replica import Replica
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import CursorStore
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counters import Counters


@dataclass(frozen=True)
class Resources:
    """The servers and stores of one task.

    :param source: the catalogue, on the primary.
    :param client: of Elasticsearch.
    :param context: what ``init`` decided for this run.
    :param cursors: where cursors are kept.
    :param executor: whose threads send the bulk requests.
    :param patience: seconds that a lost or overloaded Elasticsearch is waited for.
    :param counters: what is done; an attempt after another goes on counting.
    :param lock_wait: seconds to wait for another writer to end.
    :param is_quiet: pages are logged for debugging only.
    :param replica: from which pages and documents are read, where there is one.

    ``index`` is the run's concrete index, ``letters`` is where refused documents go.
    """

    source: Source
    client: Elasticsearch
    context: RunContext
    cursors: CursorStore
    executor: Executor
    patience: float = 0.0
    counters: Counters = field(default_factory=Counters)
    lock_wait: float = 60.0
    is_quiet: bool = False
    replica: Replica | None = None
    index: Index = field(init=False)
    letters: DeadLetters = field(init=False)

    def __post_init__(self) -> None:
        index = Index(self.client, self.definition, self.context.index, self.patience)
        object.__setattr__(self, "index", index)
        of = self.context.index if self.context.beside else None
        letters = DeadLetters(self.client, self.definition, self.patience, of=of)
        object.__setattr__(self, "letters", letters)

    def caught_up(self) -> Source:
        """Return what pages and documents are read from; it shows all that the primary shows now.

        The writer's lock is held, and the horizon measured.

        :raises ConfigurationError: the replica's connection leads elsewhere.
        """
        if self.replica is None:
            return self.source
        source = self.replica.caught_up(self.source)
        self.counters.without_replica += source is self.source
        return source

    @property
    def definition(self) -> IndexDefinition:
        """What is synced."""
        return self.source.definition
