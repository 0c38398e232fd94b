"""Every encoding at every level: what was compressed can be read again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from app.compression import CompressionSettings
from app.compression import pattern
from app.compression.codings import codings
from app.service import Service
from app.settings import SettingsError
from tests.compression.answers import BODY
from tests.compression.answers import DECODE
from tests.compression.answers import answering
from tests.compression.answers import zstd

HIGHEST = {"brotli_level": 11, "zstd_level": 19, "gzip_level": 9}
LEVELS = [
    {"brotli_level": level, "zstd_level": level, "gzip_level": min(level, 9)}
    for level in range(1, 12)
]


def service(patch: pytest.MonkeyPatch, **variables: str) -> Service:
    for name, value in {"ENVIRONMENT": "test", **variables}.items():
        patch.setenv(name, value)
    return Service([pattern])


@pytest.mark.parametrize("levels", [*LEVELS, HIGHEST])
def test_every_level_can_be_read_and_is_smaller(levels: dict[str, Any]) -> None:
    offered = codings(CompressionSettings(**levels))
    assert {coding.name.decode() for coding in offered} == DECODE.keys()
    for coding in offered:
        encoded = coding.encode(BODY)
        assert len(encoded) < len(BODY) / 3
        assert DECODE[coding.name.decode()](encoded) == BODY


@given(st.binary(min_size=1, max_size=5000) | st.text(min_size=1).map(str.encode))
def test_every_body_comes_back(body: bytes) -> None:
    for coding in codings(CompressionSettings()):
        assert DECODE[coding.name.decode()](coding.encode(body)) == body


def test_browsers_can_hold_the_window_of_zstd() -> None:
    """8 MB at most (RFC 9659), however large the body and high the level."""
    [coding] = codings(CompressionSettings(zstd_level=19, brotli_level=0, gzip_level=0))
    body = bytes(9_000_000)
    limit = {int(zstd.DecompressionParameter.window_log_max): 23}
    assert zstd.decompress(coding.encode(body), options=limit) == body


@pytest.mark.parametrize(
    ("variable", "left"),
    [
        ("COMPRESSION_GZIP_LEVEL", {"br", "zstd"}),
        ("COMPRESSION_BROTLI_LEVEL", {"gzip", "zstd"}),
        ("COMPRESSION_ZSTD_LEVEL", {"br", "gzip"}),
    ],
)
def test_an_encoding_can_be_off(
    monkeypatch: pytest.MonkeyPatch, variable: str, left: set[str]
) -> None:
    settings = service(monkeypatch, **{variable: "0"}).settings(CompressionSettings)
    assert {coding.name.decode() for coding in codings(settings)} == left


def test_with_all_off_nothing_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {f"COMPRESSION_{name}_LEVEL": "0" for name in ("BROTLI", "ZSTD", "GZIP")}
    app = answering()
    assert pattern.middleware
    assert pattern.middleware(app, service(monkeypatch, **levels)) is app


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COMPRESSION_THRESHOLD_BYTES", "0"),
        ("COMPRESSION_BROTLI_LEVEL", "12"),
        ("COMPRESSION_ZSTD_LEVEL", "20"),
        ("COMPRESSION_GZIP_LEVEL", "10"),
        ("COMPRESSION_GZIP_LEVEL", "-1"),
    ],
)
def test_settings_are_bounded(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} is not usable"):
        service(monkeypatch, **{variable: value})


def counted(side: str, coding: str) -> float:
    value = REGISTRY.get_sample_value(f"compression_{side}_bytes_total", {"coding": coding})
    assert value is not None
    return value


def test_bytes_are_counted_by_coding() -> None:
    for coding in codings(CompressionSettings()):
        name = coding.name.decode()
        before, after = counted("before", name), counted("after", name)
        encoded = coding.encode(BODY)
        assert counted("before", name) == before + len(BODY)
        assert counted("after", name) == after + len(encoded)
