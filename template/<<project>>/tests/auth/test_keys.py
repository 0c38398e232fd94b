"""API keys and their entries in AUTH_API_KEYS."""

import os
import subprocess
import sys
from argparse import Namespace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.command import API_KEY
from app.auth.keys import KEY_LENGTH
from app.auth.keys import PREFIX
from app.auth.keys import BadEntry
from app.auth.keys import Entry
from app.auth.keys import new_key
from app.auth.principal import Principal

HASH = sha256(b"pk_x").hexdigest()


def test_a_new_key_is_found_by_its_entry() -> None:
    key, entry = new_key("acme", "premium", ["read", "write"])
    parsed = Entry.parse(entry, 1)
    assert parsed.principal == Principal("key:acme", "premium", frozenset({"read", "write"}))
    assert parsed.digest == sha256(key.encode()).digest()
    assert key not in entry


def test_keys_are_long_and_differ() -> None:
    keys = {new_key("acme", "standard", ["read"])[0] for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {KEY_LENGTH}
    assert all(key.startswith(PREFIX.decode()) for key in keys)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("acme", "entry 7 is not of the form id:tier:scope+scope:sha256"),
        (f"acme:standard:{HASH}", "entry 7 is not"),
        (f"acme:standard:read:x:{HASH}", "entry 7 is not"),
        (f":standard:read:{HASH}", "entry 7 is not"),
        (f"{HASH}:standard:read:acme", "entry 7 is not"),
        ("pk_" + "A" * 43, "entry 7 is not"),
        (f"Pk-a:standard:read:{HASH}", "entry 7 is not"),
        (f"acme\n:standard:read:{HASH}", "entry 7 is not"),
        (f"acme:standard:read:{HASH[1:]}", "the hash of 'acme' is not 64"),
        (f"acme:standard:read:{HASH.upper()}", "the hash of 'acme' is not 64"),
        ("acme:standard:read:pk_" + "A" * 43, "the hash of 'acme' is not 64"),
        (f"acme::read:{HASH}", "the tier of 'acme' is not a name"),
        (f"acme:standard::{HASH}", "the scopes of 'acme' are not names"),
        (f"acme:standard:read+:{HASH}", "the scopes of 'acme' are not names"),
        (f"acme:standard:read write:{HASH}", "the scopes of 'acme' are not names"),
    ],
)
def test_a_malformed_entry_is_named_without_its_hash(text: str, problem: str) -> None:
    with pytest.raises(BadEntry) as refused:
        Entry.parse(text, 7)
    said = str(refused.value)
    assert problem in said
    assert HASH not in said.lower()
    assert "AAA" not in said


def test_a_hash_is_not_shown_by_repr() -> None:
    entry = Entry.parse(f"acme:standard:read:{HASH}", 1)
    assert HASH not in repr(entry)
    assert repr(bytes.fromhex(HASH)) not in repr(entry)


def test_one_client_may_have_two_keys_but_no_key_two_clients() -> None:
    other = sha256(b"other").hexdigest()
    two = Entry.parse_all(f"acme:standard:read:{HASH}, acme:standard:read:{other},")
    assert len(two) == 2
    with pytest.raises(BadEntry, match="key:acme and key:evil have the same key"):
        Entry.parse_all(f"acme:standard:read:{HASH},evil:standard:admin:{HASH}")


@given(st.text())
def test_any_text_is_an_entry_or_a_sentence(text: str) -> None:
    try:
        Entry.parse_all(text)
    except BadEntry as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "tier", "scopes"),
    [
        ("a:b", "standard", ["read"]),
        ("a", "x,y", ["read"]),
        ("a", "b", ["read+write"]),
        ("", "b", []),
    ],
)
def test_no_entry_is_made_that_could_not_be_read(name: str, tier: str, scopes: list[str]) -> None:
    with pytest.raises(BadEntry):
        new_key(name, tier, scopes)


def test_the_command_shows_a_key_and_its_entry() -> None:
    words = ["acme", "--tier", "premium", "--scopes", "read"]
    done = subprocess.run(
        [sys.executable, "-m", "app", "api-key", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ENVIRONMENT": "production"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    key = next(line for line in lines if line.startswith("pk_"))
    entry = Entry.parse(next(line for line in lines if line.startswith("acme:")), 1)
    assert entry.digest == sha256(key.encode()).digest()
    assert entry.principal == Principal("key:acme", "premium", frozenset({"read"}))


def test_the_command_says_what_is_wrong_with_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert API_KEY.run(Namespace(name="ACME:1", tier="standard", scopes="read")) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "the name 'ACME:1'" in said.err
