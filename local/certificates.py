"""The certificates that this machine trusts: `python -m local.certificates` prints where they are.

pip before 24.2, uv and requests bring certificates of their own, which do not have those of a
company's proxy. It runs before anything is installed, so it needs the standard library only.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path


def system_store() -> str | None:
    """Return the file or folder where OpenSSL finds certificates, None when there are none."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    return paths.capath if paths.capath and any(Path(paths.capath).iterdir()) else None


def trust_the_system() -> None:
    """Let requests in this process, and both it and uv in those it starts, use the system's store.

    What the user has chosen by their environment variables stays.
    """
    store = system_store()
    if store is None:
        return
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    if "CURL_CA_BUNDLE" not in os.environ:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", store)


if __name__ == "__main__":
    print(system_store() or "")
