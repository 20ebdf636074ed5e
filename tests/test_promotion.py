"""A standby, and a server that was one."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from movies_etl.errors import SourceUnavailableError

from local.postgres import Postgres
from tests.support.site import Site, sent


def reconnect(site: Site) -> None:
    site.connection.close()
    site.connection = psycopg.connect(site.dsn, autocommit=True)
    site.reconnect()


@pytest.fixture
def standby(durable_site: Site, durable: Postgres) -> Site:
    """A site that was loaded, and whose server became a standby."""
    site = durable_site
    site.add_small_catalogue()
    site.configure(horizon_margin=3600)
    site.execute("UPDATE content.genre SET modified = now()")
    site.execute("UPDATE content.person SET modified = now()")
    site.run()
    (folder,) = site.execute("SHOW data_directory").fetchone() or ("",)
    durable.stop()
    Path(folder, "standby.signal").touch()
    durable.start()
    reconnect(site)
    return site


def test_a_standby_is_not_read_and_its_promotion_is_told(
    standby: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site = standby
    (timeline,) = site.execute("SELECT timeline_id FROM pg_control_checkpoint()").fetchone() or (0,)
    with pytest.raises(SourceUnavailableError, match="movies_postgres leads to a standby"):
        site.open()
    before = site.cursors.load("genre")
    assert before is not None
    assert before.tail
    site.execute("SELECT pg_promote()")
    site.execute("CHECKPOINT")
    site.execute("UPDATE content.genre SET name = 'Noir', modified = now() WHERE name = 'Drama'")
    caplog.clear()
    context = site.open()
    assert f"promoted or restored (timeline {timeline}, now {timeline + 1})" in caplog.text
    cursor = site.cursors.load("genre")
    assert cursor is not None
    assert (cursor.database, cursor.tail) == (context.database, ())
    caplog.clear()
    assert sent(site.run()) == 3
    site.assert_equal()
    assert "promoted" not in caplog.text
