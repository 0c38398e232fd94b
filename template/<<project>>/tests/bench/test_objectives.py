"""What is refused, and what requests come of what is not."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from dev.bench.objectives import ObjectivesError
from dev.bench.objectives import read
from dev.servers import ROOT

LOAD = "[load]\nrate = 10\nduration_s = 1\n"
END = "share = 1\np99_ms = 5\nerrors = 0\n"
GET = '[[routes]]\nmethod = "GET"\npath = "/things"\n'
POST = '[[routes]]\nmethod = "POST"\npath = "/things"\n'


def folder(path: Path, *texts: str) -> Path:
    """A folder of objectives: `objectives.toml`, then others."""
    for name, text in zip(["objectives.toml", "more.toml"], texts, strict=False):
        (path / name).write_text(text)
    return path


def test_those_of_the_service_are_usable() -> None:
    objectives = read(ROOT / "bench")
    assert "GET /health" in [route.name for route in objectives.routes]


def test_the_files_beside_it_add_routes(tmp_path: Path) -> None:
    objectives = read(folder(tmp_path, LOAD + GET + END, POST + END))
    assert [route.name for route in objectives.routes] == ["GET /things", "POST /things"]


def test_parts_of_the_load_may_be_given(tmp_path: Path) -> None:
    objectives = read(folder(tmp_path, LOAD + GET + END), rate=7.5, duration_s=None)
    assert (objectives.load.rate, objectives.load.duration_s) == (7.5, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GET + END, "load is missing"),
        (LOAD, "routes is missing"),
        (LOAD + "brake = 1\n" + GET + END, "load.brake is no key there"),
        (LOAD.replace("10", "0") + GET + END, "load.rate: input should be greater than 0"),
        (LOAD.replace("10", "inf") + GET + END, "load.rate: input should be a finite number"),
        (LOAD.replace("10", "'10'") + GET + END, "load.rate: input should be a valid number"),
        (LOAD.replace("10", "0.5") + GET + END, "load: rate times duration_s is less than one"),
        (LOAD + GET + END + "p98_ms = 1\n", "routes 1 (GET /things): p98_ms is no key there"),
        (LOAD + GET, "routes 1 (GET /things): share is missing"),
        (LOAD + GET + "share = 1\nerrors = 0\n", "p99_ms is missing"),
        (LOAD + GET + END.replace("= 0", "= 1.5"), "errors: input should be less than or equal"),
        (LOAD + GET + END.replace("= 5", "= -5"), "p99_ms: input should be greater than 0"),
        (LOAD + GET + END + "p95_ms = 6\n", "p95_ms is more than p99_ms"),
        (LOAD + GET + END + "expect = []\n", "expect: list should have at least 1 item"),
        (LOAD + GET + END + "expect = [42]\n", "expect.0: input should be greater than or"),
        (LOAD + GET.replace("GET", "HEAD") + END, "method: input should be 'GET', 'POST'"),
        (LOAD + GET.replace('"/', '"') + END, "path: string should match pattern"),
        (LOAD + GET.replace("things", "things/{id}") + END, "values has no id"),
        (LOAD + GET + END + "values.id = [1]\n", "values.id is used nowhere"),
        (LOAD + GET + END + "values.id = {first = 2, last = 1}\n", "values.id: last is less"),
        (LOAD + GET + END + "values.id = {first = 2}\n", "values.id.last is missing"),
        (LOAD + GET + END + "body = '{}'\n", "body is not for GET"),
        (LOAD + POST + END + "body = '{'\n", "body is not JSON"),
        (LOAD + GET + END + GET + END, "GET /things is there twice"),
        ("[load", "cannot be read: "),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ObjectivesError) as caught:
        read(folder(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": "abc"}, "^RATE=abc: Input should be a valid number"),
        ({"rate": 7.0, "duration_s": 0.0}, "^DURATION=0.0: Input should be greater than 0"),
    ],
)
def test_what_is_given_and_cannot_be_is_named(
    tmp_path: Path, given: dict[str, float | str], said: str
) -> None:
    with pytest.raises(ObjectivesError, match=said):
        read(folder(tmp_path, LOAD + GET + END), **given)


def test_a_file_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ObjectivesError, match=r"cannot be read: No such file or directory\.$"):
        read(tmp_path)


def test_what_is_wrong_beside_it_names_that_file(tmp_path: Path) -> None:
    with pytest.raises(ObjectivesError, match=r"/more\.toml: load is no key there"):
        read(folder(tmp_path, LOAD + GET + END, LOAD + POST + END))


def test_values_are_at_random_and_unique_ones_differ(tmp_path: Path) -> None:
    text = (
        POST.replace("/things", "/things/{id}") + END + "values.id = {first = 1, last = 3}\n"
        'body = \'{"id": {id}, "name": "{unique}"}\'\nheaders = {X-Id = "{id}"}\n'
    )
    [route] = read(folder(tmp_path, LOAD + text)).routes
    random = Random(7)
    requests = [route.request(random) for _ in range(100)]
    assert {path for path, _, _ in requests} == {"/things/1", "/things/2", "/things/3"}
    assert len({body for _, _, body in requests}) == 100
    path, headers, body = requests[0]
    number = path[-1]
    assert headers == {"X-Id": number}
    assert body.startswith(f'{{"id": {number}, "name": "')
