"""CSV files in and out, of any size: never more in memory than a part of one."""

from __future__ import annotations

from app.database import Database
from app.database import DatabaseSettings
from app.http.edge import BodyBound
from app.pattern import Pattern
from app.pattern import Resource
from app.service import Service
from app.settings import SettingsError
from app.streaming.cells import protected as protected
from app.streaming.export import CsvExport as CsvExport
from app.streaming.importing import BadFile as BadFile
from app.streaming.importing import CsvImport as CsvImport
from app.streaming.settings import StreamingSettings
from app.streaming.streams import Streams as Streams


def _resources(service: Service) -> list[Resource]:
    settings = service.settings(StreamingSettings)
    pool_max = service.settings(DatabaseSettings).pool_max
    places = settings.concurrency or max(1, pool_max // 4)
    if places >= pool_max:
        raise SettingsError(
            f"STREAMING_CONCURRENCY ({places}) must be less than "
            f"DATABASE_POOL_MAX ({pool_max}): other requests need connections, too."
        )
    streams = Streams(service.get(Database), settings, places, service.seconds_left)
    service.at_stop.append(streams.hurry)
    return [streams]


def body_bound(service: Service) -> BodyBound:
    """The bound of a body that is imported, for the field `bodies` of a pattern."""
    settings = service.settings(StreamingSettings)
    return BodyBound(settings.import_bytes, settings.timeout_s, streamed=True)


pattern = Pattern(name="streaming", settings=StreamingSettings, resources=_resources)
