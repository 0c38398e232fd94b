"""What the owner of a service made by an earlier release did to it within a year, in ten files and more."""

from __future__ import annotations

from pathlib import Path

from maintain import uv
from tests.template import versions

SHOP = '''\
"""What the shop says about itself."""

from fastapi import APIRouter
from humanize import apnumber
from pydantic_settings import SettingsConfigDict

from app.pattern import Pattern
from app.service import Service
from app.settings import Settings


class ShopSettings(Settings):
    """SHOP_…"""

    model_config = SettingsConfigDict(env_prefix="SHOP_")

    counters: int = 3


def add_routes(api: APIRouter, service: Service) -> None:
    """GET /shop."""

    @api.get("/shop", tags=["shop"])
    async def shop() -> dict[str, str]:
        return {"counters": apnumber(service.settings(ShopSettings).counters)}


pattern = Pattern(name="shop", settings=ShopSettings, routes=add_routes)
'''
SHOP_TEST = '''\
"""The shop's own route."""

import httpx2
import pytest

pytestmark = pytest.mark.anyio


async def test_the_shop_says_how_many_counters_it_has(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/shop")
    assert answer.json() == {"counters": "three"}


async def test_an_item_needs_a_real_name(client: httpx2.AsyncClient) -> None:
    item = {"name": "TODO", "price": 1, "description": "Later."}
    answer = await client.post("/items", json=item)
    assert answer.status_code == 422
'''
REFUSAL = """\
        if item.name == "TODO":
            raise HTTPException(422, "Give the item a real name.")
"""
CREATE = "        _, made = await items.create(item)\n"
NEW_CREATE = "        _, made = await items.create(await NEW_ITEM.of(request))\n"  # from 0.2.0 on
READ = "        item = await NEW_ITEM.of(request)\n"
DELETED = "app/database/README.md"
MOVED = ("tests/redis/test_outage.py", "tests/redis/test_without_redis.py")
CONFLICT = "app/items/routes.py"


def works_for_a_year(service: Path) -> None:
    """Edit, add, delete and move files; commit it all."""
    for path, text in {"app/shop/__init__.py": SHOP, "tests/shop/test_shop.py": SHOP_TEST}.items():
        (service / path).parent.mkdir()
        (service / path).write_text(text)
    (service / "tests/shop/__init__.py").touch()
    _edit(service / "app/patterns.py", "import redis\n", "import redis\nfrom app import shop\n")
    _edit(
        service / "app/patterns.py",
        "    example.pattern,\n",
        "    example.pattern,\n    shop.pattern,\n",
    )
    if NEW_CREATE in (service / CONFLICT).read_text():
        _edit(service / CONFLICT, NEW_CREATE, READ + REFUSAL + CREATE)
    else:
        _edit(service / CONFLICT, CREATE, REFUSAL + CREATE)
    setting = "# How many counters the shop has\n#SHOP_COUNTERS=3\n\n"
    secrets = "# At least 32 random characters"
    _edit(service / ".env.example", secrets, setting + secrets)
    _edit(service / "compose.yaml", "postgres:17\n", "postgres:17-alpine\n")
    _edit(
        service / "compose.yaml",
        "services:\n",
        "services:\n  mail:\n    image: docker.io/axllent/mailpit:v1.27\n\n",
    )
    _edit(
        service / "README.md",
        "## Run it\n",
        "Ask Ada before you deploy on a Friday.\n\n## Run it\n",
    )
    _edit(
        service / "pyproject.toml",
        '    "httptools>=0.9",\n',
        '    "httptools>=0.9",\n    "humanize>=4",\n',
    )
    (service / DELETED).unlink()
    (service / MOVED[0]).rename(service / MOVED[1])
    uv.lock(service)
    versions.commit(service, "A year of work")


def resolves(service: Path) -> None:
    """The conflict as a person would: the template's way of reading an item, and the owner's refusal."""
    path = service / CONFLICT
    before, _, rest = path.read_text().partition("<<<<<<< ")
    _, _, rest = rest.partition("=======\n")
    theirs, _, after = rest.partition(">>>>>>> ")
    assert NEW_CREATE in theirs, theirs
    mine = theirs.replace(NEW_CREATE, READ + REFUSAL + CREATE)
    path.write_text(before + mine + after.partition("\n")[2])


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1, (path.name, old)
    path.write_text(text.replace(old, new), "utf-8")
