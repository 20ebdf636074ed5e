"""A mail server for tests: takes what is sent, and keeps it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mailbox:
    """The mail that came.

    :param port: where it is taken.
    """

    port: int = 0
    mail: list[EmailMessage] = field(default_factory=list)

    def connection(self) -> dict[str, object]:
        """Return the fields of Airflow's connection to it."""
        extra = {"disable_tls": True, "disable_ssl": True, "from_email": "airflow@example.org"}
        return {"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra}

    def subjects(self) -> list[str]:
        return [str(one["subject"]) for one in self.mail]

    def texts(self) -> list[str]:
        return [one.get_body(("html",)).get_content() for one in self.mail]  # type: ignore[union-attr]


class _Conversation(socketserver.StreamRequestHandler):
    """One client's; see RFC 5321."""

    mailbox: Mailbox

    def handle(self) -> None:
        self._say("220 mailbox")
        for line in self.rfile:
            match line.strip().upper()[:4]:
                case b"EHLO" | b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                    self._say("250 ok")
                case b"DATA":
                    self._say("354 go on")
                    self._take()
                    self._say("250 taken")
                case b"QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("502 what?")

    def _take(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        text = b"".join(line.removeprefix(b".") for line in lines)
        self.mailbox.mail.append(message_from_bytes(text, policy=policy.default))

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Run the server."""
    kept = Mailbox()
    handler = type("Conversation", (_Conversation,), {"mailbox": kept})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
