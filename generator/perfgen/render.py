"""The one module that knows copier."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perfgen import git
from perfgen.errors import Fault
from perfgen.errors import Refused
from perfgen.sources import Source

_INDEX_QUESTION = "_sync_git_index_executable_bit"


def render(source: Source, answers: dict[str, Any], target: Path, *, again: bool = False) -> None:
    """Write the service into the new folder `target`; the answers are complete and known to be right.

    With `again` the folder has the answers file of an earlier render, which `answers` only amend.
    """
    import copier
    from copier.errors import UnsafeTemplateError
    from copier.errors import UserMessageError
    from jinja2 import TemplateSyntaxError

    try:
        with (
            warnings.catch_warnings(),
            _git_for(source),
            _without_index_questions(),
            _remembering(),
        ):
            warnings.simplefilter("ignore")
            copier.run_copy(
                source.recorded,
                target,
                data=answers,
                vcs_ref=source.ref,
                settings=copier.Settings(),
                defaults=True,
                overwrite=again,
                quiet=True,
            )
    except UnsafeTemplateError as error:
        raise Refused(
            f"{source.recorded} wants to run code of its own: it has tasks, migrations or Jinja extensions.",
            "perfgen only renders templates without them.",
        ) from error
    except UserMessageError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        # A failure of copier's git is one, too; it has only what git said.
        if not error.strerror and git.full(str(error), target.parent):
            raise git.NoRoom("clone", str(error)) from error
        words = error.strerror or (str(error).splitlines() or ["no reason given"])[-1].strip(" |.")
        raise Refused(f"Writing the service failed: {words}.") from error
    except Exception as error:
        place = f" at {error.name}:{error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
        raise Fault(
            f"The template could not be rendered{place}: {type(error).__name__}: {error}.",
            "Run it again with --debug for the whole story.",
        ) from error


@contextlib.contextmanager
def _git_for(source: Source) -> Iterator[None]:
    """Give copier's git the source's settings, and nothing of the user's that would change files."""
    from plumbum import local  # what copier runs git with; it keeps an environment of its own

    cache = os.environ.get("COPIER_CACHE_DIR")
    try:
        if source.cache:
            os.environ["COPIER_CACHE_DIR"] = str(source.cache)
        with local.env(**git.configured(git.PLAIN | source.settings)):
            yield
    finally:
        if source.cache and cache is None:
            del os.environ["COPIER_CACHE_DIR"]
        elif cache is not None:
            os.environ["COPIER_CACHE_DIR"] = cache


@contextlib.contextmanager
def _without_index_questions() -> Iterator[None]:
    """Spare one `git config core.fileMode` per file.

    Copier asks it to mend executable bits in the index of the target's repository. A new service lies in no index,
    so the answer cannot matter. The method is copier's own affair: where it is missing, nothing is spared, and a test
    compares the result with plain copier's.
    """
    from copier import _main

    original = getattr(_main.Worker, _INDEX_QUESTION, None)
    if original is None:
        yield
        return
    setattr(_main.Worker, _INDEX_QUESTION, lambda *_: None)
    try:
        yield
    finally:
        setattr(_main.Worker, _INDEX_QUESTION, original)


@contextlib.contextmanager
def _remembering() -> Iterator[None]:
    """Compile each string once: copier has Jinja compile every part of every path, over and over.

    Templates do not change, so the same one may serve again; but for copier's `yield` tag, which counts on being
    compiled anew: where a template uses it, nothing is remembered.
    """
    from jinja2 import Environment
    from jinja2 import Template

    original = Environment.from_string
    known: dict[tuple[int, str], Template] = {}
    off = False

    def from_string(self: Environment, source: Any, *args: Any, **options: Any) -> Template:
        nonlocal off
        off = off or "yield" in str(source)
        if off or args or options or not isinstance(source, str):
            return original(self, source, *args, **options)
        key = (id(self), source)
        if key not in known:
            known[key] = original(self, source)
        return known[key]

    Environment.from_string = from_string  # type: ignore[method-assign]
    try:
        yield
    finally:
        Environment.from_string = original  # type: ignore[method-assign]
