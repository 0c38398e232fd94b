"""No page of another site writes with somebody's session."""

from __future__ import annotations

import pytest

from tests.sessions.conftest import Browser
from tests.sessions.conftest import StartProcess
from tests.sessions.conftest import api_key

pytestmark = pytest.mark.anyio

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "https://evil.service"},
    {"Origin": "https://service.evil.example"},
    {"Origin": "http://service"},
    {"Origin": "https://service:8443"},
    {"Origin": "null"},
    {"Origin": "https://"},
    {"Origin": "", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "", "Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]
OWN = [
    {},
    {"Origin": "https://SERVICE"},
    {"Origin": "https://service:443"},
    {"Origin": ""},
    {"Origin": "", "Sec-Fetch-Site": "none"},
    {"Origin": "", "Sec-Fetch-Site": ""},  # no browser, or an old one: the token decides
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_is_refused_even_with_the_token(
    browser: Browser, headers: dict[str, str]
) -> None:
    await browser.enter()
    answer = await browser.ask("POST", "/who", headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "another site" in answer.json()["detail"]


@pytest.mark.parametrize("headers", OWN)
async def test_an_own_page_writes(browser: Browser, headers: dict[str, str]) -> None:
    await browser.enter()
    answer = await browser.ask("POST", "/who", headers)
    assert (answer.status_code, answer.json()) == (200, "user:ann")


@pytest.mark.parametrize("headers", OWN)
@pytest.mark.parametrize("token", ["", "x", "A" * 43])
async def test_without_the_token_it_does_not(
    browser: Browser, headers: dict[str, str], token: str
) -> None:
    await browser.enter()
    browser.token = token
    answer = await browser.ask("POST", "/who", headers)
    assert answer.status_code == 403
    assert "X-CSRF-Token" in answer.json()["detail"]


async def test_the_token_is_that_of_the_session(browser: Browser) -> None:
    other = Browser(*browser.processes)
    await other.enter()
    await browser.enter()
    assert other.token != browser.token
    browser.token = other.token
    assert (await browser.ask("POST", "/who")).status_code == 403
    assert browser.secret not in browser.token


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_everything_but_reading_is_a_write(browser: Browser, method: str) -> None:
    await browser.enter()
    browser.token = ""
    assert (await browser.ask(method, "/who")).status_code == 403
    assert (await browser.ask("GET", "/who", {"Origin": "https://evil.example"})).status_code == 200


async def test_logging_out_is_a_write(browser: Browser) -> None:
    await browser.enter()
    foreign = await browser.ask("DELETE", "/session", {"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert await browser.who() == "user:ann"


async def test_whoever_sends_a_key_needs_no_token(browser: Browser) -> None:
    await browser.enter()
    browser.token = ""
    headers = {"Origin": "https://evil.example", **api_key()}
    assert (await browser.ask("POST", "/who", headers)).json() == "key:tests"
    browser.secret = ""
    assert (await browser.ask("POST", "/who", headers)).json() == "key:tests"


async def test_where_a_proxy_changes_the_host_origins_are_named(start: StartProcess) -> None:
    browser = Browser(await start(SESSIONS_ORIGINS="https://shop.example, https://b.example"))
    await browser.enter()
    for origin, status in (("https://shop.example", 200), ("https://shop.example.com", 403)):
        assert (await browser.ask("POST", "/who", {"Origin": origin})).status_code == status
