"""One query for all lookups of a request, however many places ask."""

from app.database import Database
from app.dataloader.loader import Loader as Loader
from app.dataloader.loaders import Loaders as Loaders
from app.dataloader.loaders import Source as Source
from app.dataloader.lookup import Lookup as Lookup
from app.dataloader.settings import DataLoaderSettings as DataLoaderSettings
from app.pattern import Pattern
from app.pattern import Resource
from app.service import Service


def _resources(service: Service) -> list[Resource]:
    return [Loaders(service.get(Database), service.settings(DataLoaderSettings))]


pattern = Pattern(name="dataloader", settings=DataLoaderSettings, resources=_resources)
