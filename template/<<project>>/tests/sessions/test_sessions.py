"""A session is the same to every process, and ends in all of them at once."""

from __future__ import annotations

import asyncio
from datetime import datetime
from http.cookies import SimpleCookie
from secrets import token_urlsafe

import pytest

from app.main import create_api
from app.patterns import PATTERNS
from app.redis import RedisClient
from app.redis import RedisSettings
from app.service import Service
from app.sessions import Sessions
from app.sessions import SessionsSettings
from app.settings import SettingsError
from app.settings import load_settings
from tests.redis.private import PrivateRedis
from tests.sessions.conftest import COOKIE
from tests.sessions.conftest import ENTRANCE
from tests.sessions.conftest import Browser
from tests.sessions.conftest import StartProcess
from tests.sessions.conftest import api_key
from tests.sessions.conftest import secret_of

pytestmark = pytest.mark.anyio


async def redis(*command: str | bytes) -> object:
    async with RedisClient(RedisSettings()) as client:
        return await client.execute(*command)


async def keys() -> list[bytes]:
    found = await redis("KEYS", "*session*")
    assert isinstance(found, list)
    return found


async def test_it_is_the_same_to_every_process(browser: Browser) -> None:
    assert await browser.who() == 401
    await browser.enter()
    assert [await browser.who(process) for process in (0, 1)] == ["user:ann"] * 2


async def test_the_cookie_is_for_this_host_over_https_and_not_for_scripts(
    browser: Browser,
) -> None:
    answer = await browser.enter()
    [morsel] = SimpleCookie(answer.headers["set-cookie"]).values()
    assert (morsel.key, morsel["path"], morsel["domain"]) == (COOKIE, "/", "")
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Lax")
    assert 604_790 <= int(morsel["max-age"]) <= 604_800
    assert len(morsel.value) == 43


async def test_what_is_stored_is_not_the_cookie(browser: Browser) -> None:
    await browser.enter()
    stored = await keys()
    values = [await redis("HGETALL", key) for key in stored if b":session:" in key]
    assert values
    assert browser.secret not in repr((stored, values))


async def test_every_login_has_a_session_of_its_own_and_ends_the_one_before(
    browser: Browser,
) -> None:
    await browser.enter()
    first = browser.secret
    await browser.enter()
    assert browser.secret != first
    assert await browser.who() == "user:ann"
    browser.secret = first
    assert [await browser.who(process) for process in (0, 1)] == [401, 401]


async def test_a_session_that_somebody_planted_is_not_taken_over(browser: Browser) -> None:
    """Fixation: neither a made-up secret nor the attacker's own becomes the victim's."""
    browser.secret = planted = token_urlsafe(32)
    answer = await browser.ask("POST", "/enter")
    assert secret_of(answer) != planted
    assert await browser.who() == 401
    attacker = Browser(*browser.processes)
    await attacker.enter("/enter/bob")
    victim = Browser(*browser.processes)
    victim.secret, victim.token = attacker.secret, attacker.token
    await victim.enter("/enter")
    assert await victim.who() == "user:ann"
    assert await attacker.who() == 401


@pytest.mark.parametrize("place", range(0, 43, 7))
async def test_a_changed_cookie_is_none(browser: Browser, place: int) -> None:
    await browser.enter()
    secret = browser.secret
    other = "B" if secret[place] != "B" else "C"
    browser.secret = secret[:place] + other + secret[place + 1 :]
    assert await browser.who() == 401


@pytest.mark.parametrize(
    "value", ["", "x", "A" * 42, "A" * 44, "A" * 5000, "é" * 43, "A" * 42 + "="]
)
async def test_what_is_no_secret_does_not_ask_redis(browser: Browser, value: str) -> None:
    headers = {b"Cookie": f"{COOKIE}={value}".encode()}
    answer = await browser.processes[0].get("https://service/who", headers=headers)
    assert answer.status_code == 401


async def test_two_cookies_are_none(browser: Browser) -> None:
    await browser.enter()
    planted = f"{COOKIE}={token_urlsafe(32)}; {COOKIE}={browser.secret}"
    assert (await browser.ask("GET", "/who", {"Cookie": planted})).status_code == 401
    others = f"a=1; {COOKIE}={browser.secret}; x{COOKIE}=2"
    assert (await browser.ask("GET", "/who", {"Cookie": others})).status_code == 200


async def test_after_logging_out_the_cookie_is_worth_nothing(browser: Browser) -> None:
    await browser.enter()
    answer = await browser.ask("DELETE", "/session")
    assert answer.status_code == 204
    assert secret_of(answer) == ""
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert [await browser.who(process) for process in (0, 1)] == [401, 401]
    assert not [key for key in await keys() if b":session:" in key]


async def test_a_user_sees_and_ends_single_sessions(browser: Browser) -> None:
    phone = Browser(*browser.processes)
    await phone.enter()
    await browser.enter()
    answer = await browser.ask("GET", "/sessions", {"User-Agent": "x" * 300})
    latest, other = answer.json()["sessions"]
    assert (latest["current"], other["current"]) == (True, False)
    assert latest.keys() == {"id", "current", "begunAt", "endsAt", "address", "agent"}
    begun, ends = (datetime.fromisoformat(latest[name]) for name in ("begunAt", "endsAt"))
    assert (ends - begun).total_seconds() == pytest.approx(604_800, abs=5)
    assert browser.secret not in answer.text
    assert (await browser.ask("DELETE", f"/sessions/{other['id']}", process=1)).status_code == 204
    assert await phone.who() == 401
    assert await browser.who() == "user:ann"
    assert (await browser.ask("DELETE", f"/sessions/{other['id']}")).status_code == 404


async def test_nobody_sees_or_ends_anothers(browser: Browser) -> None:
    await browser.enter()
    [mine] = (await browser.ask("GET", "/sessions")).json()["sessions"]
    bob = Browser(*browser.processes)
    await bob.enter("/enter/bob")
    assert mine["id"] not in (await bob.ask("GET", "/sessions")).text
    assert (await bob.ask("DELETE", f"/sessions/{mine['id']}")).status_code == 404
    assert (await bob.ask("DELETE", "/sessions")).status_code == 204
    assert await browser.who() == "user:ann"
    assert (await browser.ask("DELETE", "/sessions/x")).status_code == 422


async def test_all_end_in_every_process_at_once(browser: Browser) -> None:
    devices = [Browser(*browser.processes) for _ in range(5)]
    for device in devices:
        await device.enter()
        assert [await device.who(process) for process in (0, 1)] == ["user:ann"] * 2
    assert (await devices[0].ask("DELETE", "/sessions")).status_code == 204
    for device in devices:
        assert [await device.who(process) for process in (1, 0)] == [401, 401]
    assert await keys() == []


async def test_a_session_lasts_as_long_as_it_is_used_but_not_for_ever(
    start: StartProcess,
) -> None:
    browser = Browser(await start(SESSIONS_IDLE_S="2", SESSIONS_MAX_AGE_S="4"))
    await browser.enter()
    for _ in range(3):  # beyond the two seconds
        await asyncio.sleep(1)
        assert await browser.who() == "user:ann"
    later = Browser(*browser.processes)
    await later.enter()
    await asyncio.sleep(1.2)  # beyond the four, although it was used
    assert await browser.who() == 401
    assert await later.who() == "user:ann"
    await browser.enter()
    await asyncio.sleep(2.2)
    assert await browser.who() == 401


async def test_of_too_many_sessions_the_oldest_ends(start: StartProcess) -> None:
    process = await start(SESSIONS_PER_USER="2")
    devices = [Browser(process) for _ in range(3)]
    for device in devices:
        await device.enter()
        await asyncio.sleep(0.005)  # the oldest by the clock
    assert [await device.who() for device in devices] == [401, "user:ann", "user:ann"]


async def test_without_the_list_of_a_user_no_session_counts(browser: Browser) -> None:
    """So that a Redis which evicts ends sessions, and never keeps one from being ended."""
    await browser.enter()
    for key in await keys():
        if b":user:" in key:
            await redis("DEL", key.decode())
    assert await browser.who() == 401


async def test_what_cannot_be_read_is_no_session(browser: Browser) -> None:
    await browser.enter()
    [key] = [key.decode() for key in await keys() if b":session:" in key]
    await redis("HSET", key, "data", '{"user": 5}')
    assert await browser.who() == 401


async def test_a_session_has_the_scopes_it_was_given(browser: Browser) -> None:
    await browser.enter("/enter?scopes=read")
    assert await browser.who() == "user:ann"
    assert (await browser.ask("POST", "/who")).status_code == 403


async def test_a_session_that_may_only_read_is_still_ones_own(browser: Browser) -> None:
    await browser.enter("/enter?scopes=read")
    [mine] = (await browser.ask("GET", "/sessions")).json()["sessions"]
    token, browser.token = browser.token, ""
    for path in ("/session", "/sessions", f"/sessions/{mine['id']}", "/enter"):
        method = "POST" if path == "/enter" else "DELETE"
        assert (await browser.ask(method, path)).status_code == 403
    browser.token = token
    await browser.enter("/enter?scopes=read")
    assert (await browser.ask("DELETE", "/sessions")).status_code == 204
    for path in ("/session", "/sessions/{}"):
        await browser.enter("/enter?scopes=read")
        [mine] = (await browser.ask("GET", "/sessions")).json()["sessions"]
        assert (await browser.ask("DELETE", path.format(mine["id"]))).status_code == 204
        assert await browser.who() == 401


async def test_a_session_without_scopes_can_be_seen_and_left(browser: Browser) -> None:
    await browser.enter("/enter?scopes=other")
    assert await browser.who() == 403
    assert len((await browser.ask("GET", "/sessions")).json()["sessions"]) == 1
    assert (await browser.ask("DELETE", "/session")).status_code == 204


async def test_who_is_not_known_is_told_of_logging_in(browser: Browser) -> None:
    for path in ("/who", "/sessions"):
        answer = await browser.ask("GET", path)
        assert answer.status_code == 401
        assert "log in" in answer.json()["detail"]


async def test_where_reads_are_public_nobody_has_sessions(start: StartProcess) -> None:
    browser = Browser(await start(AUTH_PUBLIC_READS="true"))
    answer = await browser.ask("GET", "/sessions")
    assert answer.status_code == 401
    assert "log in" in answer.json()["detail"]


async def test_a_session_that_cannot_be_read_is_not_shown(browser: Browser) -> None:
    phone = Browser(*browser.processes)
    await phone.enter()
    [key] = [key.decode() for key in await keys() if b":session:" in key]
    await browser.enter()
    await redis("HSET", key, "data", '{"user": 5}')
    answer = await browser.ask("GET", "/sessions")
    assert [one["current"] for one in answer.json()["sessions"]] == [True]


async def test_any_id_of_a_principal_has_sessions_or_none(
    servers: dict[str, str], anyio_backend: str
) -> None:
    """A token's subject may be half a surrogate pair."""
    async with RedisClient(RedisSettings()) as client:
        sessions = Sessions(client, SessionsSettings(), owned=False)
        assert await sessions.of("jwt:\ud800") == []
        assert await sessions.end("jwt:\ud800", "0" * 64) is False
        assert await sessions.end_all("jwt:\ud800") == 0


async def test_credentials_in_a_header_come_first(browser: Browser) -> None:
    await browser.enter()
    assert (await browser.ask("GET", "/who", api_key())).json() == "key:tests"
    wrong = {"Authorization": "Bearer pk_" + "A" * 43}
    assert (await browser.ask("GET", "/who", wrong)).status_code == 401
    assert (await browser.ask("GET", "/session", api_key())).status_code == 404


@pytest.mark.parametrize("own", [True, False])
async def test_with_redis_away_only_those_with_a_session_are_refused(
    start: StartProcess, private: PrivateRedis, own: bool
) -> None:
    settings = {"SESSIONS_REDIS_URL" if own else "REDIS_URL": private.url}
    process = await start(AUTH_PUBLIC_READS="true", **settings)
    browser = Browser(process)
    await browser.enter()
    private.kill()
    refused = await browser.ask("GET", "/who")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await browser.ask("GET", "/who", api_key())).status_code == 200
    assert (await browser.ask("POST", "/who", api_key())).status_code == 200
    assert (await browser.ask("GET", "/health")).status_code in (200, 503)
    assert (await browser.ask("POST", "/enter")).status_code == 503
    browser.secret = ""
    assert (await browser.ask("GET", "/openapi")).status_code == 404
    private.start()
    for _ in range(200):
        if (answer := await browser.ask("POST", "/enter")).status_code == 204:
            break
        await asyncio.sleep(0.05)
    assert answer.status_code == 204


async def test_the_document_tells_of_the_cookie(start: StartProcess) -> None:
    document = create_api(Service([*PATTERNS, ENTRANCE])).openapi()
    assert document["components"]["securitySchemes"]["session"]["name"] == COOKIE
    assert {"session": []} in document["security"]
    assert document["paths"]["/enter"]["post"]["security"] == []
    assert "security" not in document["paths"]["/session"]["delete"]


async def test_in_development_the_cookie_works_without_https(start: StartProcess) -> None:
    process = await start(ENVIRONMENT="development")
    answer = await process.post("http://service/enter")
    assert answer.headers["set-cookie"].startswith("session=")
    assert "Secure" not in answer.headers["set-cookie"]


def test_in_production_it_must_be_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONS_SECURE", "false")
    monkeypatch.setenv("SESSIONS_ORIGINS", "https://a.example,http://b.example")
    secure, origins = SessionsSettings().problems()
    assert "SESSIONS_SECURE" in secure
    assert origins == "SESSIONS_ORIGINS must begin with https://."


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("ORIGINS", "an origin looks like https://"), ("REDIS_URL", "it should look like redis://")],
)
def test_what_is_not_usable_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv(f"SESSIONS_{name}", "foo")
    with pytest.raises(SettingsError, match=f"^SESSIONS_{name} is not usable: {sentence}"):
        load_settings([SessionsSettings])
