"""Nodes of other versions of Elasticsearch: the local node's sources with what differs in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from local import elasticsearch_build, elasticsearch_jars
from local.elasticsearch import Elasticsearch
from local.files import CACHE
from tests.support.servers import free_port

ROOT_PLUGIN = "rest-root"


class Differences(NamedTuple):
    """How a version's sources differ from those of the local node.

    :param substitutes: by file: what is written otherwise, and how.
    :param left_out: plugins that this version's server has inside.
    """

    substitutes: Mapping[str, Mapping[str, str]]
    left_out: tuple[str, ...] = ()


VERSIONS = {
    "8.4.3": Differences(
        {
            "launcher/LocalNode.java": {
                "import org.elasticsearch.plugins.PluginsLoader;\n": "",
                "        PluginsLoader plugins =\n"
                "            PluginsLoader.createPluginsLoader(\n"
                "                PluginsLoader.loadModulesBundles(Path.of(arguments[1])), Set.of(),"
                " Map.of(), false);\n"
                "        Node node = new Node(environment, plugins);\n": (
                    '        Path modules = home.resolve("modules");\n'
                    "        java.nio.file.Files.deleteIfExists(modules);\n"
                    "        java.nio.file.Files.createSymbolicLink(modules,"
                    " Path.of(arguments[1]));\n"
                    "        Node node = new Node(environment);\n"
                ),
            },
        },
        left_out=(ROOT_PLUGIN,),
    ),
    "9.5.3": Differences(
        {
            "launcher/LocalNode.java": {
                "Bundles(Path.of(arguments[1]))": "Bundles(Path.of(arguments[1]), false)",
            },
            f"{ROOT_PLUGIN}/RootPlugin.java": {
                "        Settings settings,\n"
                "        NamedWriteableRegistry writeables,\n"
                "        RestController controller,\n"
                "        ClusterSettings clusterSettings,\n"
                "        IndexScopedSettings indexSettings,\n"
                "        SettingsFilter filter,\n"
                "        IndexNameExpressionResolver names,\n": (
                    "        RestHandlersServices services,\n"
                ),
                "NODE_NAME_SETTING.get(settings)": "NODE_NAME_SETTING.get(services.settings())",
                "_SETTING.get(settings).value()": "_SETTING.get(services.settings()).value()",
            },
        }
    ),
}
NEWEST = "9.5.3"


class OtherElasticsearch(Elasticsearch):
    """A node of another version.

    :param version: one of VERSIONS.
    :param folder: of its sources and its data.
    """

    def __init__(self, version: str, folder: Path) -> None:
        super().__init__(folder / "node", port=free_port(), heap="768m")
        self._version = version
        self._sources = folder / "sources"

    def start(self, *, seconds: float = 600) -> None:
        _write_sources(self._version, self._sources)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(elasticsearch_build, "_SOURCES", self._sources)
            patch.setattr(elasticsearch_jars, "LOCK", _lock(self._version))
            patch.setattr(elasticsearch_jars, "VERSION", self._version)
            super().start(seconds=seconds)


@contextmanager
def running(version: str, folder: Path) -> Iterator[Elasticsearch]:
    """Run a node of a version.

    :param folder: of its sources and its data.
    """
    node = OtherElasticsearch(version, folder)
    node.start()
    try:
        yield node
    finally:
        node.stop()


def write_lock(version: str) -> None:
    """Resolve the jars of a version and write their list."""
    with pytest.MonkeyPatch.context() as patch:
        roots = [
            one.replace(elasticsearch_jars.VERSION, version) for one in elasticsearch_jars._ROOTS
        ]
        patch.setattr(elasticsearch_jars, "_ROOTS", tuple(roots))
        patch.setattr(elasticsearch_jars, "LOCK", _lock(version))
        elasticsearch_jars.write_lock(CACHE / "maven")


def _lock(version: str) -> Path:
    return Path(__file__).with_name(f"{version}.sha256")


def _write_sources(version: str, to: Path) -> None:
    differences = VERSIONS[version]
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(elasticsearch_build._SOURCES, to, ignore=lambda *_: differences.left_out)
    shutil.copy(_lock(version), to)
    descriptors = {file.relative_to(to) for file in to.glob("*/plugin-descriptor.properties")}
    of_version = {str(file): {elasticsearch_jars.VERSION: version} for file in descriptors}
    for name, substitutes in {**differences.substitutes, **of_version}.items():
        text = (to / name).read_text()
        for old, new in substitutes.items():
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        (to / name).write_text(text)
