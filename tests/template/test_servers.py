"""What is skipped where a server is not installed must not be skipped in CI."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.proofs.harness import postgres
from tests.proofs.harness import redis


@pytest.mark.parametrize("private", [postgres.private, redis.private])
@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_server_that_is_not_installed(
    private: Callable[[Path], AbstractContextManager[object]],
    ci: str,
    outcome: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "INSTALLED", tmp_path)
    with pytest.raises(outcome, match="is not installed"), private(tmp_path / "server"):
        pass
