"""The parser: what is meant is read, everything else is refused, in linear time."""

from __future__ import annotations

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fields import BadFields
from app.fields import FieldsSettings
from app.fields.parse import Tree
from app.fields.parse import parse

BOUNDS = FieldsSettings()
WIDE = FieldsSettings(max_length=8_000, max_count=1_000, max_depth=10)
NAMES = st.text("abcXYZ019_", min_size=1, max_size=8)
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.dictionaries(NAMES, st.none(), min_size=1, max_size=4),
    lambda inner: st.dictionaries(NAMES, st.none() | inner, min_size=1, max_size=4),
    max_leaves=12,
)


def written(tree: Tree) -> str:
    """A tree as a client writes it."""
    parts = (name if inner is None else f"{name}({written(inner)})" for name, inner in tree.items())
    return ",".join(parts)


def refusal(text: str, bounds: FieldsSettings = BOUNDS) -> str:
    """With what a text is refused."""
    with pytest.raises(BadFields) as refused:
        parse(text, bounds)
    assert refused.value.status_code == 400
    return refused.value.detail


@given(TREES)
def test_what_is_written_is_read(tree: Tree) -> None:
    assert parse(written(tree), WIDE) == tree


@given(TREES, st.data())
def test_a_change_of_one_character_is_read_or_refused(tree: Tree, data: st.DataObject) -> None:
    text = written(tree)
    place = data.draw(st.integers(0, len(text)))
    character = data.draw(st.sampled_from("(),a _%\0é"))
    changed = text[:place] + character + text[place + data.draw(st.integers(0, 1)) :]
    try:
        assert written(parse(changed, WIDE)) == changed
    except BadFields as error:
        assert len(error.detail) < 120


@given(st.text() | st.text("(),ab"))
def test_anything_is_read_as_it_stands_or_refused(text: str) -> None:
    try:
        assert written(parse(text, BOUNDS)) == text
    except BadFields as error:
        assert error.status_code == 400
        assert len(error.detail) < 120


WRONG = [
    *("", ",", "(", ")", "a,", ",a", "a,,b", "a(", "a)", "a()", "a(b", "a(b))", "a(b)c", "(a)"),
    *(
        "a(,b)",
        "a(b,)",
        "a((b))",
        "a(b)(c)",
        "a b",
        " a",
        "a ",
        "é",
        "aé",
        "a.b",
        "a-b",
        "*",
        "a\0",
    ),
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_list_of_fields_is_refused(text: str) -> None:
    assert refusal(text).startswith("fields: ")


def test_a_refusal_says_where() -> None:
    assert refusal("id,na me") == "fields: character 6 is not expected there."
    assert refusal("id,owner(name") == "fields: it ends where a name or a bracket is missing."


@pytest.mark.parametrize("text", ["a,a", "a,b(c),a", "a(b),a(c)", "a,a(b)", "a(b,b)"])
def test_a_name_stands_once(text: str) -> None:
    assert refusal(text).endswith("is named twice.")


def test_the_same_name_may_stand_on_two_levels() -> None:
    assert parse("id,owner(id)", BOUNDS) == {"id": None, "owner": {"id": None}}


def test_length_count_and_depth_are_bounded() -> None:
    bounds = FieldsSettings(max_length=20, max_count=3, max_depth=2)
    assert parse("a(b,c)", bounds)
    assert refusal("a,b,c,d", bounds) == "fields: more than 3 names."
    assert refusal("a(b(c))", bounds) == "fields: more than 2 levels."
    assert parse("a" * 20, bounds)
    assert refusal("a" * 21, bounds) == "fields: more than 20 characters."


@pytest.mark.parametrize("piece", ["(", ",", "a(", "a", "é", "(é", "number"])
def test_time_grows_with_length_and_no_faster(piece: str) -> None:
    def seconds(pieces: int) -> float:
        text = ",".join(f"a{n}(b)" for n in range(pieces)) if piece == "number" else piece * pieces
        bounds = FieldsSettings.model_construct(
            max_length=len(text), max_count=pieces * 2, max_depth=pieces + 1
        )
        best = 1e9
        for _ in range(5):
            started = process_time()
            with suppress(BadFields):
                parse(text, bounds)
            best = min(best, process_time() - started)
        return best

    assert seconds(20_000) < 40 * max(seconds(2_000), 0.0005), "linear is 10, quadratic is 100"
