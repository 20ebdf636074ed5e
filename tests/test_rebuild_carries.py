"""What a new index takes over: aliases, settings that somebody changed, letters, a plain name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from movies_etl.errors import ConfigurationError
from movies_etl.es.carried import after_loading, changed_by_hand, created_with, flat
from movies_etl.rebuild.beside import feed_others

from local.processes import wait_until
from tests.support.rebuild import Asked, Rebuild, searching, stores_of
from tests.support.site import Site

FILE = {
    "index": {"number_of_shards": 1, "auto_expand_replicas": "0-1", "refresh_interval": "1s"},
    "analysis": {"analyzer": {"ru_en": {"tokenizer": "standard"}}},
}


def settings(site: Site, index: str) -> dict[str, Any]:
    answer = site.client.indices.get_settings(index=index, flat_settings=True)
    return dict(answer[index]["settings"])


def test_every_alias_moves_as_it_is(loaded: Site) -> None:
    (before,) = loaded.client.indices.get_alias(name="movies")
    loaded.client.indices.put_alias(
        index=before,
        name="good",
        filter={"range": {"imdb_rating": {"gte": 2}}},
    )
    loaded.client.indices.put_alias(
        index=before, name="routed", search_routing="a,b", index_routing="c"
    )
    loaded.client.indices.update_aliases(
        actions=[{"add": {"index": before, "alias": "hidden", "is_hidden": True}}]
    )
    loaded.client.indices.put_alias(index=before, name="catalogue", is_write_index=True)
    loaded.client.indices.create(index="elsewhere", aliases={"catalogue": {}})
    aliases = loaded.client.indices.get_alias(index=before)[before]["aliases"]
    assert set(aliases) == {"movies", "good", "routed", "hidden", "catalogue"}
    assert [len(aliases[name]) for name in ("good", "routed", "hidden")] == [1, 2, 1]
    after = Rebuild(loaded).run()["index"]
    assert loaded.client.indices.get_alias(index=after)[after]["aliases"] == aliases
    assert loaded.client.indices.get_alias(index=before)[before]["aliases"] == {}
    assert set(loaded.client.indices.get_alias(name="catalogue")) == {after, "elsewhere"}
    loaded.client.indices.delete_alias(index=after, name="good")
    Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    aliases.pop("good")
    assert loaded.client.indices.get_alias(index=before)[before]["aliases"] == aliases


def test_settings_that_somebody_changed_are_kept_over_several_rebuilds(loaded: Site) -> None:
    (before,) = loaded.client.indices.get_alias(name="movies")
    by_hand = {
        "index.refresh_interval": "7s",
        "index.auto_expand_replicas": "false",
        "index.number_of_replicas": "0",
        "index.max_result_window": "20000",
    }
    loaded.client.indices.put_settings(index=before, settings=by_hand)
    for run in ("manual__1", "manual__2"):
        rebuild = Rebuild(loaded, run)
        plan = rebuild.begin()
        found = settings(loaded, plan.context.index)
        assert found["index.refresh_interval"] == "30s"  # while it is loaded
        results = rebuild.load_all(plan)
        rebuild.loaded(plan, results)
        rebuild.check(plan)
        rebuild.swap(plan)
        found = settings(loaded, plan.context.index)
        assert {name: found[name] for name in by_hand} == by_hand


def test_settings_that_somebody_changes_during_a_rebuild_are_carried_over(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (before,) = loaded.client.indices.get_alias(name="movies")
    loaded.client.indices.put_settings(
        index=before, settings={"index.max_result_window": "20000", "index.refresh_interval": "7s"}
    )
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    by_hand = {
        "index.refresh_interval": "9s",
        "index.auto_expand_replicas": "false",
        "index.number_of_replicas": "0",
        "index.max_inner_result_window": "200",
    }
    taken_back = {"index.max_result_window": None}
    loaded.client.indices.put_settings(index=before, settings=by_hand | taken_back)
    loaded.client.indices.close(index=before)  # what an open index does not take
    loaded.client.indices.put_settings(index=before, settings={"index.codec": "best_compression"})
    loaded.client.indices.open(index=before)
    rebuild.swap(plan)
    found = settings(loaded, plan.context.index)
    assert {name: found[name] for name in by_hand} == by_hand
    assert "index.max_result_window" not in found
    assert "Setting index.codec of" in caplog.text
    loaded.client.indices.put_settings(
        index=plan.context.index, settings={"index.refresh_interval": "11s"}
    )
    Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    assert settings(loaded, before)["index.refresh_interval"] == "11s"


def test_where_nobody_changed_anything_the_file_says_all(loaded: Site) -> None:
    (before,) = loaded.client.indices.get_alias(name="movies")
    after = Rebuild(loaded).run()["index"]
    its_own = ("index.uuid", "index.creation_date", "index.provided_name")

    def common(index: str) -> dict[str, Any]:
        return {
            name: value for name, value in settings(loaded, index).items() if name not in its_own
        }

    assert common(after) == common(before)


def test_a_setting_of_the_file_that_nobody_changed_follows_the_file() -> None:
    given = flat(FILE)
    found = {**given, "index.uuid": "u", "index.refresh_interval": "1s"}
    newer = given | {"index.refresh_interval": "5s"}
    assert changed_by_hand(found, newer, given) == {}
    assert changed_by_hand(found | {"index.refresh_interval": "9s"}, newer, given) == {
        "index.refresh_interval": "9s"
    }


def test_a_setting_with_several_values_follows_the_file() -> None:
    file = {"index": {"query": {"default_field": ["title", "description"]}}}
    given = flat(file)
    assert given == {"index.query.default_field": ["title", "description"]}
    assert changed_by_hand(given, flat({"index": {}}), given) == {}
    made = created_with({"settings": file}, {}, 1)
    assert made["index.query.default_field"] == ["title", "description"]


def test_copies_that_somebody_asked_for_are_made_after_the_load() -> None:
    given = flat(FILE)
    found = {
        name: value for name, value in given.items() if name != "index.auto_expand_replicas"
    } | {"index.number_of_replicas": "2"}
    by_hand = changed_by_hand(found, given, given)
    made = created_with({"settings": FILE}, by_hand, 3)
    assert (made["index.number_of_replicas"], made["index.number_of_shards"]) == ("0", "3")
    assert made["analysis"] == FILE["analysis"]
    final = after_loading(given, by_hand)
    assert final["index.number_of_replicas"] == "2"
    assert final["index.auto_expand_replicas"] == "false"


def test_a_new_index_has_as_many_shards_as_the_one_before_unless_somebody_asks(
    loaded: Site,
) -> None:
    after = Rebuild(loaded, asked=Asked(shards=3)).run()["index"]
    assert settings(loaded, after)["index.number_of_shards"] == "3"
    for run, asked in (("2", Asked()), ("3", Asked(take_over=True))):  # nothing to take over
        after = Rebuild(loaded, run, asked).run()["index"]
        assert settings(loaded, after)["index.number_of_shards"] == "3"
    loaded.assert_equal()


def test_the_first_rebuild_follows_the_file_that_was_changed_since_the_first_load(
    loaded: Site, include: Path
) -> None:
    (before,) = loaded.client.indices.get_alias(name="movies")
    loaded.client.indices.put_settings(index=before, settings={"index.max_result_window": "20000"})
    file = include / "elasticsearch" / "settings.json"
    described = json.loads(file.read_text())
    described["index"] |= {"refresh_interval": "5s", "number_of_shards": 2}
    del described["index"]["gc_deletes"]
    described["analysis"]["analyzer"]["ru_en"]["filter"] = ["lowercase"]
    file.write_text(json.dumps(described))
    after = settings(loaded, Rebuild(loaded).run()["index"])
    assert after["index.refresh_interval"] == "5s"
    assert after["index.number_of_shards"] == "2"
    assert "index.gc_deletes" not in after
    assert after["index.analysis.analyzer.ru_en.filter"] == ["lowercase"]
    assert after["index.max_result_window"] == "20000"
    again = settings(loaded, Rebuild(loaded, "manual__2", Asked(shards=3)).run()["index"])
    assert again["index.number_of_shards"] == "3"
    loaded.assert_equal()


def test_letters_of_both_indexes_are_kept_apart(loaded: Site) -> None:
    bad = loaded.add_film(modified="now()", rating="NaN")
    loaded.run()
    assert set(loaded.letters()) == {bad}
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    loaded.execute("UPDATE content.film_work SET rating = 1, modified = now() WHERE id = %s", bad)
    assert set(loaded.letters()) == {bad}  # of the live index, until a run of it fixes that
    rebuild.swap(plan)
    assert loaded.letters() == {}
    assert [*loaded.client.indices.get_alias(name="movies-dead-letters")] == [
        f"{plan.context.index}-dead-letters"
    ]
    Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    assert loaded.letters() == {}
    loaded.assert_equal()


def test_a_letter_of_the_old_index_comes_back_with_it(loaded: Site) -> None:
    bad = loaded.add_film(modified="now()", rating="NaN")
    loaded.run()
    before = loaded.letters()
    Rebuild(loaded).run()
    assert set(loaded.letters()) == {bad}
    Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    assert loaded.letters()[bad]["first_seen"] == before[bad]["first_seen"]


def test_an_old_index_whose_letters_somebody_deleted_is_fed_and_taken_back(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (before,) = loaded.client.indices.get_alias(name="movies")
    Rebuild(loaded).run()
    letters = f"{before}-dead-letters"
    loaded.client.indices.delete(index=letters)
    context = loaded.open()
    with loaded.resources(context) as resources:
        feed_others(resources, loaded.settings, stores_of(loaded))
    assert "was not fed" not in caplog.text
    loaded.client.indices.delete(index=letters)
    Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    assert [*loaded.client.indices.get_alias(name="movies-dead-letters")] == [letters]


def test_a_plain_index_of_the_name_is_replaced_only_when_asked(small: Site) -> None:
    small.client.indices.create(index="movies", aliases={"films": {}})
    small.client.index(index="movies", id="old", document={"title": "Old"}, refresh=True)
    with pytest.raises(ConfigurationError, match="is an index, not an alias"):
        Rebuild(small).begin()
    with searching(small) as counts:
        wait_until(lambda: bool(counts), seconds=60, what="searches find the plain index")
        result = Rebuild(small, asked=Asked(take_over=True)).run()
        wait_until(lambda: counts[-1] != 1, seconds=60, what="searches find the new index")
    assert set(counts) == {1, len(small.expected())}
    assert result["before"] == "movies"
    assert [*small.client.indices.get_alias(name="movies")] == [result["index"]]
    assert [*small.client.indices.get_alias(name="films")] == [result["index"]]
    small.assert_equal()
    small.reconnect()
    assert sum(counter.read for counter in small.run().values()) == 0
    small.assert_equal()
