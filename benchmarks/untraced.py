"""Changes that leave no trace in `modified`, each with what a search finds when it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FILMS_EACH = 5
"""Films that one change concerns."""

Query = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One change.

    :param name: in words.
    :param documented: minutes within which it is to be right in the search.
    :param query: what is searched for.
    :param hits: films that it finds when the change is right.
    :param statements: SQL, where the change is the database's.
    :param damage: documents by id, where it is the index's; None deletes the document.
    """

    name: str
    documented: float
    query: Query
    hits: int
    statements: tuple[str, ...] = ()
    damage: tuple[tuple[str, Query | None], ...] = ()


FILMS = """
    SELECT film.id::text FROM content.film_work AS film
    WHERE EXISTS (
        SELECT FROM content.person_film_work AS link
        WHERE link.film_work_id = film.id AND link.role = 'director'
    ) AND EXISTS (
        SELECT FROM content.person_film_work AS link
        WHERE link.film_work_id = film.id AND link.role = 'actor'
    )
    ORDER BY film.id LIMIT %s
"""
"""Films with a director and an actor, whose links a change may take."""

_FILM = "UPDATE content.film_work SET title = 'Untraced %s'%s WHERE id = ANY('{%s}')"
_UNLINK = """
    DELETE FROM content.person_film_work WHERE role = 'actor' AND film_work_id = ANY('{%s}')
"""
_FREE = """
    DELETE FROM content.person_film_work AS other USING content.person_film_work AS link
    WHERE other.film_work_id = link.film_work_id AND other.person_id = link.person_id
        AND other.id <> link.id AND link.role = 'director' AND link.film_work_id = ANY('{%s}')
"""
_RECAST = """
    UPDATE content.person_film_work SET role = 'actor'
    WHERE role = 'director' AND film_work_id = ANY('{%s}')
"""
_NEW_PERSON = "c0ffee00-0000-4000-8000-000000000000"
_PERSON = f"""
    INSERT INTO content.person (id, full_name, created, modified)
    VALUES ('{_NEW_PERSON}', 'Untraced', '1999-01-01', '1999-01-01')
"""
_LINK = f"""
    INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)
    SELECT gen_random_uuid(), film.id, '{_NEW_PERSON}', 'writer', '1999-01-01'
    FROM unnest('{{%s}}'::uuid[]) AS film (id)
"""


def changes(films: list[str]) -> list[Change]:
    """Return each kind of change, all of them at once.

    :param films: `FILMS_EACH` for each of nine changes, from `FILMS`.
    """
    sets = iter([films[at : at + FILMS_EACH] for at in range(0, len(films), FILMS_EACH)])
    deleted, orphaned, unlinked, recast, dated, undated, silent, linked, lost = sets
    *damaged, stray = lost
    return [
        Change(
            "film deleted, its links with it",
            2,
            _of(deleted),
            0,
            (f"DELETE FROM content.film_work WHERE id = ANY('{_array(deleted)}')",),
        ),
        Change(
            "film deleted, its links left",
            2,
            _of(orphaned),
            0,
            (
                "SET LOCAL session_replication_role = replica",  # no foreign key deletes them
                f"DELETE FROM content.film_work WHERE id = ANY('{_array(orphaned)}')",
                "SET LOCAL session_replication_role = DEFAULT",
            ),
        ),
        Change(
            "link deleted",
            6,
            _of(unlinked, must_not=_nested("actors")),
            FILMS_EACH,
            (_UNLINK % ",".join(unlinked),),
        ),
        Change(
            "link's role changed, created untouched",
            6,
            _of(recast, must_not=_nested("directors")),
            FILMS_EACH,
            (
                _FREE % ",".join(recast),  # nobody has a role twice
                _RECAST % ",".join(recast),
            ),
        ),
        Change(
            "film changed, modified set back",
            16,
            _titled(dated, "Untraced back-dated"),
            FILMS_EACH,
            (_FILM % ("back-dated", ", modified = '1999-01-01'", ",".join(dated)),),
        ),
        Change(
            "film changed, modified NULL",
            16,
            _titled(undated, "Untraced NULL"),
            FILMS_EACH,
            (_FILM % ("NULL", ", modified = NULL", ",".join(undated)),),
        ),
        Change(
            "film changed, triggers off",
            16,
            _titled(silent, "Untraced silent"),
            FILMS_EACH,
            (_FILM % ("silent", "", ",".join(silent)),),
        ),
        Change(
            "link made, created long ago",
            16,
            _of(linked, must=_nested("writers", {"term": {"writers.id": _NEW_PERSON}})),
            FILMS_EACH,
            (
                _PERSON,
                _LINK % ",".join(linked),
            ),
        ),
        Change(
            "document deleted from the index",
            24 * 60,
            _of(damaged[:2]),
            2,
            damage=tuple((film, None) for film in damaged[:2]),
        ),
        Change(
            "document changed in the index",
            24 * 60,
            _titled(damaged[2:], "Vandalised"),
            0,
            damage=tuple((film, {"title": "Vandalised"}) for film in damaged[2:]),
        ),
        Change(
            "orphan in the index",
            24 * 60,
            {"ids": {"values": ["orphan"]}},
            0,
            damage=(("orphan", {"id": stray, "title": "An orphan"}),),
        ),
    ]


def _array(films: list[str]) -> str:
    return f"{{{','.join(films)}}}"


def _of(films: list[str], **more: Query) -> Query:
    return {"bool": {"filter": {"terms": {"id": films}}, **more}}


def _titled(films: list[str], title: str) -> Query:
    return _of(films, must={"term": {"title.raw": title}})


def _nested(path: str, query: Query | None = None) -> Query:
    return {"nested": {"path": path, "query": query or {"exists": {"field": f"{path}.id"}}}}
