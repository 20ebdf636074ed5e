"""A run after which nothing became visible: what it asks, and what makes the next look again."""

from __future__ import annotations

import json
from collections import Counter
from itertools import count

import psycopg
import pytest
from movies_etl.definitions.definition import Feed
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.follow.cursors import HeldCursors
from movies_etl.follow.spell import Spell
from movies_etl.postgres.server import Server
from movies_etl.postgres.source import Row, Source
from movies_etl.state.cursors import Cursor, Position
from movies_etl.state.visible import Cluster, Visible

from tests.support.catalogue import Catalogue
from tests.support.indices import each_index
from tests.support.protections import notices
from tests.support.site import Site


class Calm:
    """What is visible on a server on which nobody else commits.

    ``life`` and ``commits`` say what it is now: a test raises the latter when it has committed.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.life = "first"
        self.commits = 0

    def cluster(self) -> Cluster:
        return Cluster("7", 1, self.life, self.snapshot())

    def snapshot(self) -> str:
        return f"{self.commits}:{self.commits}:"

    def asked(self) -> Counter[str]:
        """Run and check; return the queries of the catalogue's rows that were asked."""
        before = self.site.queries.copy()
        self.site.run_and_check()
        asked = self.site.queries - before
        return Counter(
            {name: n for name, n in asked.items() if name.startswith(("feed/", "root/"))}
        )


@pytest.fixture
def calm(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> Calm:
    """A site that was loaded to the end, with nothing above the horizon."""
    calm = Calm(loaded)
    monkeypatch.setattr(Server, "cluster", lambda _: calm.cluster())
    monkeypatch.setattr(Server, "snapshot", lambda _: calm.snapshot())
    loaded.run_and_check()
    loaded.run_and_check()
    return calm


@pytest.mark.long
@each_index
def test_while_nothing_became_visible_no_row_is_read_nor_counted(calm: Calm) -> None:
    before = calm.site.queries.copy()
    assert not calm.asked()
    asked = calm.site.queries - before
    assert not {"tables.sql", "columns.sql"} & asked.keys()
    assert asked["trace/statistics.sql"] == 1
    calm.commits += 1
    assert calm.asked()


def test_a_run_that_reads_nothing_moves_the_horizon_and_keeps_the_positions(calm: Calm) -> None:
    before = calm.site.cursors.load("genre")
    assert not calm.asked()
    after = calm.site.cursors.load("genre")
    assert before
    assert after
    assert (after.rows, after.links, after.tail) == (before.rows, before.links, before.tail)
    assert after.horizon == calm.site.horizons.load().horizon
    assert before.horizon != after.horizon


@notices("19")
def test_what_is_committed_behind_the_reading_is_read_by_the_next_run(
    calm: Calm, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = calm.site
    changed = Source.changed
    film = site.add_film("Before", modified="1990-01-01")
    calm.commits += 1
    site.run(reload="film_work")

    def and_a_commit_behind_it(
        source: Source, feed: Feed, after: Position | None, upto: Position | None, limit: int | None
    ) -> list[Row]:
        rows = changed(source, feed, after, upto, limit)
        if feed is FILM_WORK.rows and not late:
            late.append(True)
            site.execute("UPDATE content.film_work SET title = 'After', modified = now()")
            calm.commits += 1
        return rows

    late: list[bool] = []
    with monkeypatch.context() as during:
        during.setattr(Source, "changed", and_a_commit_behind_it)
        calm.commits += 1
        site.run()
    assert late
    site.run()
    assert site.documents()[film]["title"] == "After"


@pytest.mark.long
@pytest.mark.parametrize("what", ["life", "position", "reload", "zone"])
def test_another_server_a_moved_cursor_and_other_settings_are_looked_at_anew(
    calm: Calm, what: str
) -> None:
    site = calm.site
    if what == "life":
        calm.life = "second"
    elif what == "position":
        cursor = json.loads(site.cursors.texts["film_work"])
        cursor["rows"] = None
        site.cursors.texts["film_work"] = json.dumps(cursor)
    elif what == "zone":
        site.configure(timestamp_zone="Asia/Tokyo")
    reload = "film_work" if what == "reload" else "none"
    before = site.queries.copy()
    counters = site.run(reload)
    assert (site.queries - before)["feed/ids.sql film_work"] > 0
    if what in ("position", "reload"):
        assert counters["film_work"].read == len(site.expected())


def test_a_layout_that_comes_from_another_task_is_the_same_reader(loaded: Site) -> None:
    layout = loaded.source().layout
    assert len(layout.stamps) > 1
    handed_on = layout.model_copy(update={"stamps": dict(reversed(layout.stamps.items()))})
    assert handed_on.reader == layout.reader


def test_rows_above_a_horizon_are_read_again_when_there_is_a_later_one(calm: Calm) -> None:
    site = calm.site
    film = site.add_film("Fresh", modified="now()")
    site.configure(horizon_margin=3600)
    calm.commits += 1
    assert calm.asked()
    site.configure(horizon_margin=0)
    assert calm.asked()["feed/ids.sql film_work"]
    cursor = site.cursors.load("film_work")
    assert cursor
    assert cursor.rows
    assert cursor.rows.id == film
    assert not calm.asked()


def test_a_horizon_that_is_held_lets_nothing_be_read_again(calm: Calm) -> None:
    site = calm.site
    with psycopg.connect(site.dsn) as holder:
        holder.execute("INSERT INTO content.genre (id, name) VALUES (gen_random_uuid(), 'Open')")
        site.add_film("Fresh", modified="now()")
        calm.commits += 1
        assert calm.asked()
        assert not calm.asked()


def test_documents_that_were_lost_are_counted_though_no_row_is(calm: Calm) -> None:
    site = calm.site
    site.client.delete(index="movies", id=min(site.expected()), refresh=True)
    before = site.queries.copy()
    assert site.run_and_check()["difference"] == 1
    assert not (site.queries - before)["root/count.sql film_work"]


def test_where_others_commit_all_the_time_a_run_writes_only_cursors_and_horizon(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = count()
    monkeypatch.setattr(
        Server, "cluster", lambda _: Cluster("7", 1, "life", f"{next(commits)}:9999:")
    )
    loaded.run_and_check()
    loaded.run_and_check()
    kept = loaded.layouts.kept, loaded.difference.kept
    loaded.run_and_check()
    assert (loaded.layouts.kept, loaded.difference.kept) == kept


@pytest.mark.long
@pytest.mark.parametrize("is_left", [False, True])
def test_the_run_after_one_that_follows_reads_only_what_is_left_above_the_horizon(
    calm: Calm, is_left: bool
) -> None:
    site = calm.site
    site.configure(horizon_margin=3600 if is_left else 0)
    site.change("Changed")
    calm.commits += 1
    with site.beside() as resources:
        cursors = HeldCursors(site.cursors, site.definition.streams)
        spell = Spell(resources, site.settings, site.horizons, cursors)
        spell.look()
        spell.close()
    cursor = site.cursors.load("film_work")
    assert cursor
    assert cursor.seen
    assert (cursor.seen.left_at is not None) == is_left
    assert calm.asked().keys() <= {"root/count.sql film_work"}
    site.configure(horizon_margin=0)
    assert bool(calm.asked()) == is_left
    site.assert_equal()


def test_what_became_visible_behind_the_last_look_of_a_spell_is_read(calm: Calm) -> None:
    site = calm.site
    with site.beside() as resources:
        cursors = HeldCursors(site.cursors, site.definition.streams)
        spell = Spell(resources, site.settings, site.horizons, cursors)
        spell.look()
        site.change("Late")
        calm.commits += 1
        spell.close()
    cursor = site.cursors.load("film_work")
    assert cursor
    assert cursor.seen is None
    assert calm.asked()["feed/ids.sql film_work"]
    site.assert_equal()


def test_a_role_that_may_not_know_the_server_looks_each_time(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "cluster", lambda _: None)
    loaded.run_and_check()
    before = loaded.queries.copy()
    loaded.run_and_check()
    asked = loaded.queries - before
    assert asked["feed/ids.sql film_work"]
    assert asked["root/count.sql film_work"]
    cursor = loaded.cursors.load("film_work")
    assert cursor
    assert cursor.seen is None


# -- what PostgreSQL says ------------------------------------------------------------------------


@pytest.mark.parametrize("is_prepared", [False, True])
def test_what_a_transaction_wrote_is_not_visible_under_an_equal_snapshot(
    catalogue: Catalogue, is_prepared: bool
) -> None:
    """Written in a subtransaction; others that end meanwhile change the text as well."""
    source = catalogue.source()
    film = catalogue.add_film("Before")

    def seen() -> tuple[Visible | None, str | None]:
        visible = source.visible()
        ((title,),) = catalogue.execute(
            "SELECT title FROM content.film_work WHERE id = %s", film
        ).fetchall()
        return visible, title

    looks = [seen()]
    with psycopg.connect(catalogue.dsn, autocommit=True) as writer:
        writer.execute("BEGIN")
        writer.execute("SAVEPOINT one")
        writer.execute("UPDATE content.film_work SET title = 'After' WHERE id = %s", [film])
        writer.execute("RELEASE one")
        looks.append(seen())
        catalogue.execute("SELECT txid_current()")
        looks.append(seen())
        if is_prepared:
            writer.execute("PREPARE TRANSACTION 'one'")
            looks.append(seen())
            writer.execute("COMMIT PREPARED 'one'")
        else:
            writer.execute("COMMIT")
        looks.append(seen())
    titles = [title for _, title in looks]
    assert titles == ["Before"] * (len(looks) - 1) + ["After"]
    assert looks[-1][0] not in [visible for visible, _ in looks[:-1]]
    assert looks[1][0] != looks[2][0]


def test_a_checkpoint_begins_another_life(catalogue: Catalogue) -> None:
    """Recovery from a crash ends with one: numbers of lost transactions may be given again."""
    source = catalogue.source()
    before = source.visible()
    catalogue.execute("SELECT txid_current()")
    catalogue.execute("CHECKPOINT")
    after = source.visible()
    assert before
    assert after
    assert before.server != after.server


def test_a_cursor_of_before_has_seen_nothing() -> None:
    cursor = Cursor.model_validate({"index": "uuid", "database": {"name": "movies"}})
    visible = Visible(server="life", snapshot="1:1:", reader="reader")
    assert not cursor.has_read(visible, "2026-01-01T00:00:00.000000+00:00")
    assert "seen" not in json.loads(cursor.to_json())
