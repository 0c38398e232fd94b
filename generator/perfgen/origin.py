"""How `perfgen source` goes: where a service's template comes from, and what there is."""

from pathlib import Path

from perfgen import releases
from perfgen import resources
from perfgen import sources
from perfgen.errors import DONE
from perfgen.errors import Refused
from perfgen.output import Output
from perfgen.recorded import newest_first
from perfgen.recorded import with_newest
from perfgen.service import Service
from perfgen.sources import Source

Facts = dict[str, object]


def show(project: Path, output: Output) -> int:
    """Tell what is recorded, where that is on this machine, and what there is."""
    service = Service.open(project)
    facts: Facts = {
        "path": str(service.folder),
        "source": service.source,
        "embedded": service.source == resources.STORE,
        "version": service.version.removeprefix("v"),
    }
    output.say(f"source    {service.source}{_meaning(service)}")
    output.say(f"version   {facts['version']}")
    try:
        facts |= with_newest(
            service,
            lambda recorded, newest, why: _at_hand(service, recorded, newest, why, output),
            output.progress,
        )
    except Refused as error:
        output.say("here      it cannot be had")
        output.note(f"{error.sentence} {error.hint}")
        facts |= {"here": None, "versions": [], "newest": None, "newer": False}
        facts |= {"problem": error.sentence}
    output.result(facts)
    return DONE


def _at_hand(
    service: Service, recorded: Source, newest: Source | None, why: str, output: Output
) -> Facts:
    """What there is of the source: where, its versions, and the newest, unless there is a reason `why` not."""
    known = [tag.removeprefix("v") for tag in newest_first(releases.tags(recorded.repository))]
    place = None if sources.is_url(service.source) else str(_place(service, recorded))
    output.say(f"here      {place or 'nowhere: it is fetched each time'}")
    output.say(f"versions  {', '.join(known) or 'none by name'}")
    later = newest is not None and newest.ref != recorded.ref
    if newest:
        hint = ": `perfgen update` brings it in" if later else ", which the service is of"
        output.say(f"newest    {newest.version}{hint}")
    else:
        output.note(why)
    version = newest.version if newest else None
    return {"here": place, "versions": known, "newest": version, "newer": later, "problem": why}


def _meaning(service: Service) -> str:
    return " (embedded: what perfgen itself brings)" if service.source == resources.STORE else ""


def _place(service: Service, source: Source) -> Path:
    """A bundle is cloned for the while, so it is what the service records."""
    if service.source.endswith(".bundle"):
        return Path(service.source).expanduser()
    return source.repository
