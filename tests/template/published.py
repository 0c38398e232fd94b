"""A repository behind a URL, as an organisation's template is: git fetches it over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.template.versions import git


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each file."""


@contextmanager
def published(repository: Path, folder: Path) -> Iterator[str]:
    """The URL of a copy of the repository, which is made in `folder` and served for the block."""
    copy = folder / "web.git"
    git("clone", "--quiet", "--bare", repository, copy, cwd=folder)
    git("update-server-info", cwd=copy)  # what a server of mere files needs
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/{copy.name}"
        finally:
            server.shutdown()
            thread.join()
