"""Documents' texts, byte for byte: as independent code writes them, and as the index has them."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.site import Site

FIELDS = {
    "movies": (
        *("id", "imdb_rating", "genres", "title", "description"),
        *("directors_names", "actors_names", "writers_names"),
        *("directors", "actors", "writers"),
    ),
    "genres": ("id", "name", "description"),
    "persons": ("id", "full_name", "films"),
}
"""The fields of each index's documents, in their order."""

PER_REQUEST = 5_000
_SOURCE = '"_source":'


def text_of(document: Mapping[str, Any], index: str) -> str:
    """Write a document without white space, with its checksum at the end.

    :param document: as ``expected.py`` builds it.
    :param index: the name of its definition.
    """
    fields = {name: _short(document[name]) for name in FIELDS[index]}
    assert fields.keys() == document.keys()
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).removesuffix("}")
    digest = hashlib.md5(body.encode(), usedforsecurity=False).digest()
    return f'{body},"checksum":{int.from_bytes(digest[:8], signed=True)}}}'


def _short(value: Any) -> Any:
    """Return a value whose whole numbers have no fraction."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_short(one) for one in value]
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return value


def texts_in(site: Site) -> dict[str, str]:
    """Return the text of each ``_source`` of the site's index, as it was sent."""
    site.client.indices.refresh(index=site.definition.alias)
    return dict(_sources(site))


def _sources(site: Site) -> Iterator[tuple[str, str]]:
    decoder, after = json.JSONDecoder(), None
    while True:
        answer, place, found = _page(site, after), 0, 0
        while (begins := answer.find(_SOURCE, place)) >= 0:
            begins += len(_SOURCE)
            document, place = decoder.raw_decode(answer, begins)
            after, found = document["id"], found + 1
            yield after, answer[begins:place]
        if found < PER_REQUEST:
            return


def _page(site: Site, after: str | None) -> str:
    """Search as HTTP has it: the client would parse the texts."""
    url = next(iter(site.client.transport.node_pool.all())).base_url
    body: dict[str, Any] = {"size": PER_REQUEST, "sort": ["id"]}
    if after is not None:
        body["search_after"] = [after]
    request = urllib.request.Request(  # noqa: S310 - a test's own server
        f"{url}/{site.definition.alias}/_search",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - see above
        text: str = answer.read().decode()
    return text
