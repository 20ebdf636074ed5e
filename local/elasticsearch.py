"""A real Elasticsearch node of our own, on 127.0.0.1, from Maven Central's jars."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from local.elasticsearch_build import Program, build
from local.files import CACHE
from local.processes import birth, wait_until
from local.rest import RestError, UnreachableError, call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SETTINGS = """\
cluster.name: movies-local
node.name: local
path.data: {data}
path.repo: {snapshots}
network.host: 127.0.0.1
http.port: {port}
transport.port: 0
discovery.type: single-node
cluster.routing.allocation.disk.threshold_enabled: false
# Garbage that the parallel collector has left for later is no reason to refuse a request.
indices.breaker.total.use_real_memory: false
"""
_JAVA_OPTIONS = (
    "-Xss1m",
    # On two cores G1, the distribution's choice, leaves half of a cold node's indexing rate and a
    # third of a warm one's to its own threads and barriers; nobody waits for a pause here.
    "-XX:+UseParallelGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.noKeySetOptimization=true",
    "-Dio.netty.recycler.maxCapacityPerThread=0",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dlog4j2.disable.jmx=true",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)


class ElasticsearchError(RuntimeError):
    """The node did not start or stop; the message has the end of its log."""


class Elasticsearch:
    """One Elasticsearch node, without security, listening on 127.0.0.1 only.

    :param home: folder for everything the node keeps; made by `start`.
    :param port: HTTP port; the transport takes any free one.
    :param heap: size of the Java heap.
    :param cache: where jars and compiled classes are kept between nodes.
    :param report: told about fetching and compiling, which happen at the first start.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int,
        heap: str = "1g",
        cache: Path = CACHE,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = home.absolute()
        self.port = port
        self.heap = heap
        self.cache = cache
        self.log = self.home / "node.log"
        self._report = report
        self._process_file = self.home / "node.json"
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = threading.Event()

    @property
    def url(self) -> str:
        """The address of the REST API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The node's process id, None when it is not running."""
        if self._child is not None:
            self._child.poll()  # takes leave of a child that has ended
        try:
            known = json.loads(self._process_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return known["pid"] if birth(known["pid"]) == known["born"] else None

    @property
    def running(self) -> bool:
        """Whether the node's process is alive."""
        return self.pid is not None

    def start(self, *, seconds: float = 120) -> None:
        """Start the node and wait until it answers and its shards are there; harmless when running.

        A node of this folder on another port is stopped first.

        :param seconds: seconds that the node itself may take, without the first start's downloads.

        Raises ElasticsearchError, JarsError or BuildError.
        """
        if self.running and json.loads(self._process_file.read_text())["port"] != self.port:
            self.stop()
        if not self.running:
            program = build(self.cache, self._report)
            if self._cancelled.is_set():
                raise self._failure("the start was cancelled")
            self._launch(program)
        try:
            wait_until(self._ready, seconds=seconds, what="Elasticsearch answers")
        except TimeoutError as error:
            self.stop()
            raise self._failure(str(error)) from error

    def cancel(self) -> None:
        """Make a `start` in another thread end as soon as it can, with ElasticsearchError."""
        self._cancelled.set()
        self.stop()

    def stop(self, *, seconds: float = 30) -> None:
        """End the node, hard after the seconds; harmless when it is not running."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            try:
                wait_until(lambda: not self.running, seconds=seconds, what="the node ends")
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: not self.running, seconds=10, what="the node ends")
        if self._child is not None and self._child.pid == pid:
            self._child.wait()  # it has ended; unless waited for it counts as running in Python
        self._process_file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop the node and remove everything it kept; the cache stays."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _launch(self, program: Program) -> None:
        for folder in ("config", "data", "tmp"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        folders = {name: json.dumps(str(self.home / name)) for name in ("data", "snapshots")}
        settings = _SETTINGS.format(**folders, port=self.port)
        (self.home / "config" / "elasticsearch.yml").write_text(settings)
        command: list[str | Path] = [
            *(program.java, f"-Xms{self.heap}", f"-Xmx{self.heap}", *_JAVA_OPTIONS),
            *(f"-Djava.io.tmpdir={self.home / 'tmp'}", f"-XX:ErrorFile={self.home}/crash.log"),
            *("-cp", os.pathsep.join(map(str, program.classpath))),
            *("movies.local.LocalNode", self.home, program.modules),
        ]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        if self._child is not None:
            self._child.wait()  # of a node that was killed, threads may be there for a moment
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                command,
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is not for the node
            )
        pid = self._child.pid
        known = {"pid": pid, "born": birth(pid), "port": self.port}
        self._process_file.write_text(json.dumps(known))

    def _ready(self) -> bool:
        if not self.running:
            raise self._failure("the node ended")
        health = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
        try:
            return call("GET", health, seconds=5)["status"] in {"yellow", "green"}
        except (RestError, UnreachableError):
            return False

    def _failure(self, what: str) -> ElasticsearchError:
        end = self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
        return ElasticsearchError(f"Elasticsearch on port {self.port}: {what}\n{end}".rstrip())
