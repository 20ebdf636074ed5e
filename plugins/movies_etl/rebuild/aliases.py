"""One request moves every alias to the other index, and the name of the dead letters with them."""

from __future__ import annotations

from typing import Any

from movies_etl.errors import ConfigurationError
from movies_etl.es import admin, carried, family
from movies_etl.es.client import translated_errors
from movies_etl.es.dead_letters import DeadLetters, letters_of
from movies_etl.rebuild.candidate import Candidate


def keep_letters(candidate: Candidate) -> None:
    """Copy the letters of the live index to an index of its own, where there is none yet."""
    resources = candidate.resources
    client, definition = resources.client, resources.definition
    letters = definition.dead_letters
    with translated_errors():
        is_index = client.indices.exists(index=letters) and not client.indices.exists_alias(
            name=letters
        )
    if not is_index:
        return
    kept = DeadLetters(client, definition, resources.patience, of=candidate.plan.replaces)
    kept.create()
    DeadLetters(client, definition, resources.patience).copy_to(kept)


def move(candidate: Candidate) -> None:
    """Move all aliases in one request.

    What the index replaces is noted before: a run that began with the old one looks for it.

    :raises ConfigurationError: Elasticsearch refuses; nothing was changed.
    """
    resources, old, index = candidate.resources, candidate.old, candidate.resources.index
    build = family.build_of(index) or family.Build(state="live", run="")
    actions = _to_take_over(candidate) if candidate.plan.takes_over else moved(candidate)
    family.note(index, build.model_copy(update={"replaces": old.name}))
    try:
        with translated_errors():
            resources.client.indices.update_aliases(actions=actions)
    except ConfigurationError:
        if admin.live_name(resources.client, resources.definition) == index.name:
            return  # by an earlier request that was lost on its way and arrived after all
        family.note(index, build)
        raise


def moved(candidate: Candidate) -> list[dict[str, Any]]:
    """Return the actions that move every alias, and that of the letters."""
    old, index = candidate.old, candidate.resources.index
    return [*carried.moved_aliases(old, index), *_letters(candidate)]


def _to_take_over(candidate: Candidate) -> list[dict[str, Any]]:
    index, alias = candidate.resources.index, candidate.resources.definition.alias
    with translated_errors():
        aliases = index.client.indices.get_alias(index=alias)[alias]["aliases"]
    return [
        {"remove_index": {"index": alias}},
        {"add": {"index": index.name, "alias": alias, "is_write_index": True}},
        *({"add": {"index": index.name, "alias": name, **of}} for name, of in aliases.items()),
        *_letters(candidate),
    ]


def _letters(candidate: Candidate) -> list[dict[str, Any]]:
    """Return the actions that make the letters' name lead to those of the new index."""
    client, name = candidate.resources.client, candidate.resources.definition.dead_letters
    to = {"add": {"index": letters_of(candidate.resources.index.name), "alias": name}}
    with translated_errors():
        if not client.indices.exists(index=name):
            return [to]
        if not client.indices.exists_alias(name=name):
            return [{"remove_index": {"index": name}}, to]
        before = client.indices.get_alias(name=name)
    return [*({"remove": {"index": one, "alias": name}} for one in before), to]
