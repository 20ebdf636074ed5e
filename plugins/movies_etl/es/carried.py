"""What a new index takes over from the one before: settings that somebody changed, every alias."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index

_FILES_OWN = re.compile(
    r"index\.(analysis|similarity|sort|mode|number_of_shards|number_of_routing_shards)\b"
)
"""Settings that make up the definition of an index: the file says them, or a param."""

_ITS_OWN = re.compile(
    r"index\.(uuid|version|creation_date|provided_name|resize|blocks|verified_before_close"
    r"|routing\.allocation\.initial_recovery|history|shard\.check_on_startup)\b"
)
"""Settings that tell one index from another, or that hold for a while."""

REPLICAS = "index.number_of_replicas"
EXPANDED = "index.auto_expand_replicas"
REFRESH = "index.refresh_interval"
_OFTEN_CHANGED = (REPLICAS, EXPANDED, REFRESH)
"""Settings of which it is assumed that somebody changed them, where nobody knows what they were."""

WHILE_LOADING = {REPLICAS: "0", EXPANDED: "false", REFRESH: "30s"}
"""Copies are made once, of finished segments; nobody searches meanwhile."""


Value = str | list[str]
"""Of a setting, as Elasticsearch returns it."""


_OF_TEXTS = ("index.analysis.", "index.similarity.")
"""Settings that say how texts are analysed and scored."""


def flat(settings: Mapping[str, Any]) -> dict[str, Value]:
    """Return the settings of a file by their whole names, without those of texts."""
    return {
        name: value for name, value in by_whole_name(settings) if not name.startswith(_OF_TEXTS)
    }


def shards_of(file: Mapping[str, Value]) -> int:
    """Return how many shards the settings of a file ask for.

    :param file: by their whole names.
    """
    return int(str(file.get("index.number_of_shards", 1)))


def changed_analysis(found: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Return the settings by which an index analyses or scores texts otherwise than its file.

    :param found: settings of the index, by their whole names.
    :param settings: those of the file.
    :returns: names such as ``analysis.analyzer.ru_en``.
    """
    wanted = {name: value for name, value in by_whole_name(settings) if name.startswith(_OF_TEXTS)}
    there = {name: value for name, value in found.items() if name.startswith(_OF_TEXTS)}
    differing = {name for name in wanted | there if wanted.get(name) != there.get(name)}
    return sorted({".".join(name.split(".")[1:4]) for name in differing})


def by_whole_name(settings: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Value]]:
    """Yield the settings of a file by their whole names, as Elasticsearch returns them."""
    for key, value in settings.items():
        name = f"{parent}{key}"
        if isinstance(value, Mapping):
            yield from by_whole_name(value, f"{name}.")
        else:
            whole = name if name.startswith("index.") else f"index.{name}"
            yield whole, [*map(_text, value)] if isinstance(value, list) else _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def changed_by_hand(
    found: Mapping[str, Any], file: Mapping[str, Value], given: Mapping[str, Value] | None
) -> dict[str, Any]:
    """Return the settings of an index that no file gave it.

    :param found: those of the index, by their whole names.
    :param file: those of the file.
    :param given: those of the file when the index was made; None where nobody knows.
    """
    expands = str(found.get(EXPANDED, "false")) != "false"

    def is_changed(name: str) -> bool:
        if _ITS_OWN.match(name) or _FILES_OWN.match(name) or (expands and name == REPLICAS):
            return False
        if given is not None:
            return bool(found[name] != given.get(name))
        return name not in file or (name in _OFTEN_CHANGED and bool(found[name] != file[name]))

    changed = {name: value for name, value in found.items() if is_changed(name)}
    if EXPANDED in (file if given is None else given) and EXPANDED not in found:
        changed[EXPANDED] = "false"  # it was taken away
    return changed


def created_with(
    described: Mapping[str, Any], by_hand: Mapping[str, Any], shards: int
) -> dict[str, Any]:
    """Return the settings with which an index is made that is loaded before it is searched."""
    analysis = {
        name: value
        for name, value in (described["settings"] | described["settings"].get("index", {})).items()
        if name in ("analysis", "similarity")
    }
    numbers = {"index.number_of_shards": str(shards)}
    return analysis | flat(described["settings"]) | dict(by_hand) | WHILE_LOADING | numbers


def after_loading(file: Mapping[str, Value], by_hand: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that take the place of those that hold while an index is loaded."""
    final: dict[str, Any] = {**file, **by_hand}
    restored = {name: final.get(name) for name in WHILE_LOADING}
    if restored[EXPANDED] not in (None, "false"):
        del restored[REPLICAS]  # it follows from the other one
    return restored


def to_be_set(
    found: Mapping[str, Any], final: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what an index is to be given so that its settings are those that were wanted.

    :param found: those of the index.
    :param final: the file's, and those that somebody changed by hand.
    :param before: those of the index before; what it has stays.
    :returns: None for a setting that is to be taken away.
    """
    expands = str(final.get(EXPANDED, "false")) != "false"

    def is_left(name: str) -> bool:
        own = _ITS_OWN.match(name) or _FILES_OWN.match(name)
        return bool(own) or (expands and name == REPLICAS)

    given = {name: value for name, value in final.items() if found.get(name) != value}
    taken = {name: None for name in found if name not in final and name not in before}
    return {name: value for name, value in (given | taken).items() if not is_left(name)}


def moved_aliases(old: Index, new: Index) -> list[dict[str, Any]]:
    """Return the actions that give every alias of an index to another one, as it is.

    The alias that searches use writes to the one index that it leads to.
    """
    with translated_errors():
        found = old.client.indices.get_alias(index=old.name)[old.name]["aliases"]
    actions: list[dict[str, Any]] = []
    for alias, kept in found.items():
        actions.append({"remove": {"index": old.name, "alias": alias}})
        actions.append({"add": {"index": new.name, "alias": alias, **kept}})
    return actions
