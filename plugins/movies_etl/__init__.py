"""Movies ETL: keeps Elasticsearch indices equal to a PostgreSQL film catalogue.

A room uses only rooms above it in this list; ``postgres`` and ``es`` do not know each other, and
only ``airflow`` imports Airflow:

``errors``, ``settings``, ``retries``, ``steps``; ``definitions`` (what is synced); ``state``
(what is remembered); ``postgres``, ``es``; ``sync`` (the loop);
``reconcile`` (what ``modified`` cannot show); ``follow`` (a run that goes on); ``rebuild`` (an
index made anew); ``page`` (what operators see); ``airflow``.
"""

__version__ = "0.2.0"
