"""The index that is to take the alias: what its check and its swap need, and how it is fed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from movies_etl.errors import ConfigurationError
from movies_etl.es.index import Index
from movies_etl.rebuild.beside import beside_context, feed
from movies_etl.rebuild.plan import Plan, Stores
from movies_etl.settings import Settings
from movies_etl.sync.measuring import known_before, measure
from movies_etl.sync.resources import Resources

SHORT_PASS_SECONDS = 15.0
"""If a pass of the streams takes less than this, the index has caught up."""
MAX_PASSES = 100


@dataclass(frozen=True)
class Candidate:
    """The index that is to take the alias, with all that its check needs.

    :param resources: of this index.
    :param state: what is kept between runs.
    """

    plan: Plan
    resources: Resources
    state: Stores
    settings: Settings

    @property
    def old(self) -> Index:
        """The index that has the alias."""
        of = self.resources
        return Index(of.client, of.definition, self.plan.replaces, of.patience)


def at_this_moment(candidate: Candidate) -> Resources:
    """Return the resources with the horizon and the versions of this moment.

    :raises ConfigurationError: the index cannot be fed.
    """
    resources, state = candidate.resources, candidate.state
    source = resources.source
    _, database = source.identity()
    root = resources.cursors.load(resources.definition.root.name)
    measured = measure(source, candidate.settings, known_before(state.horizons, root, database))
    moment = resources.context.model_copy(
        update={"database": database, "m2m_start": measured.now, "horizon": measured.horizon}
    )
    context = beside_context(source, resources.index, resources.cursors, moment)
    if context is None or context.uuid != resources.context.uuid:
        raise ConfigurationError(
            f"Index {resources.index.name} was changed, or lost its cursors, since this run began. "
            "Trigger a new one."
        )
    return replace(resources, context=context)


def catch_up(candidate: Candidate) -> int:
    """Feed the index until a pass is short; return how many it took."""
    for number in range(1, MAX_PASSES + 1):
        began = time.monotonic()
        feed(at_this_moment(candidate), candidate.settings)
        if time.monotonic() - began < SHORT_PASS_SECONDS:
            return number
    raise ConfigurationError(
        f"Index {candidate.resources.index.name} does not catch up: more changes than it is loaded "
        "with. Try again when the site writes less (clear this task)."
    )
