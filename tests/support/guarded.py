"""A login before a real Elasticsearch node: its own security is in no jar that anyone may have.

The proxy speaks TLS by Python's ssl, which is OpenSSL as in other servers, and refuses what brings
no right header, in Elasticsearch's words. What the client makes of a certificate does not depend on
what shows it.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.certificates import Certificate
from tests.support.proxy import Fault, Link, Proxy, answer


def basic(login: str, password: str) -> str:
    """Return the header's value for a login."""
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


@contextmanager
def guarded(port: int, certificate: Certificate, lets_in: Sequence[str]) -> Iterator[Proxy]:
    """Stand before the node on this port.

    :param lets_in: values of the header `Authorization` that are right.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with Proxy(port, http=True, tls=context) as proxy:
        proxy.plan(_guard(lets_in), times=float("inf"))
        yield proxy


def _guard(lets_in: Sequence[str]) -> Fault:
    right = {f"authorization: {value}".encode() for value in lets_in}

    async def apply(request: bytes, link: Link) -> None:
        head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
        if right & set(head):
            await link.forward(request)
        else:
            await answer(401, _unauthorized)(request, link)

    return apply


def _unauthorized(request: bytes) -> dict[str, Any]:
    reason = "missing authentication credentials for REST request [/]"
    if b"authorization: " in request:
        reason = "unable to authenticate with provided credentials for REST request [/]"
    cause = {"type": "security_exception", "reason": reason}
    return {"error": cause | {"root_cause": [cause]}, "status": 401}
