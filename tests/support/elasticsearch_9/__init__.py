"""A node of Elasticsearch 9, of the local node's sources with what that version names otherwise.

``python -m tests.support.elasticsearch_9`` writes its list of jars anew after a change of VERSION.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import elasticsearch_build, elasticsearch_jars
from local.elasticsearch import Elasticsearch
from local.files import CACHE
from tests.support.servers import free_port

VERSION = "9.5.3"
LOCK = Path(__file__).with_name("jars.sha256")
SUBSTITUTES = {
    "launcher/LocalNode.java": {
        "Bundles(Path.of(arguments[1]))": "Bundles(Path.of(arguments[1]), false)",
    },
    "rest-root/RootPlugin.java": {
        "        Settings settings,\n"
        "        NamedWriteableRegistry writeables,\n"
        "        RestController controller,\n"
        "        ClusterSettings clusterSettings,\n"
        "        IndexScopedSettings indexSettings,\n"
        "        SettingsFilter filter,\n"
        "        IndexNameExpressionResolver names,\n": "        RestHandlersServices services,\n",
        "NODE_NAME_SETTING.get(settings)": "NODE_NAME_SETTING.get(services.settings())",
        "CLUSTER_NAME_SETTING.get(settings)": "CLUSTER_NAME_SETTING.get(services.settings())",
    },
    **{
        f"{part}/plugin-descriptor.properties": {elasticsearch_jars.VERSION: VERSION}
        for part in ("analysis-stemmers", "rest-root", "transport-netty4")
    },
}
"""By file of the sources: what is written otherwise, and how."""


@contextmanager
def running_elasticsearch_9(folder: Path) -> Iterator[Elasticsearch]:
    """Run the node.

    :param folder: of its sources and its data.
    """
    sources = folder / "sources"
    _write_sources(sources)
    node = Elasticsearch(folder / "node", port=free_port(), heap="768m")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elasticsearch_build, "_SOURCES", sources)
        patch.setattr(elasticsearch_jars, "LOCK", LOCK)
        patch.setattr(elasticsearch_jars, "VERSION", VERSION)
        node.start()
    try:
        yield node
    finally:
        node.stop()


def _write_sources(to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(elasticsearch_build._SOURCES, to)
    shutil.copy(LOCK, to)
    for name, substitutes in SUBSTITUTES.items():
        text = (to / name).read_text()
        for old, new in substitutes.items():
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        (to / name).write_text(text)


def write_lock() -> None:
    """Resolve the jars of VERSION and write their list."""
    with pytest.MonkeyPatch.context() as patch:
        roots = [
            one.replace(elasticsearch_jars.VERSION, VERSION) for one in elasticsearch_jars._ROOTS
        ]
        patch.setattr(elasticsearch_jars, "_ROOTS", tuple(roots))
        patch.setattr(elasticsearch_jars, "LOCK", LOCK)
        elasticsearch_jars.write_lock(CACHE / "maven")
