"""JSON over HTTP to servers on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any


class RestError(RuntimeError):
    """The server refused the request; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(OSError):
    """Nobody answers at this address."""


def call(
    method: str, url: str, body: object = None, *, token: str | None = None, seconds: float = 10
) -> Any:  # noqa: ANN401 - JSON
    """Send a request and return the answer's JSON (None when it has no body).

    Raises RestError on a status from 400 on, UnreachableError when there is no answer.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http, ours
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            text = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")[:2000]
        raise RestError(error.code, f"{method} {url}: {error.code} {said}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise UnreachableError(f"{method} {url}: {error}") from error
    return json.loads(text) if text else None
