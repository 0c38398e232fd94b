"""The collector and Sentry that a service's own tests have."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec
from importlib.util import spec_from_file_location
from typing import Any

from .service import ROOT

_FILE = ROOT / "template" / "<<project>>" / "tests" / "tracing" / "ingest.py"


def _load() -> Any:
    spec = spec_from_file_location("ingest", _FILE)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules["ingest"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


Ingest: Any = _load().Ingest
