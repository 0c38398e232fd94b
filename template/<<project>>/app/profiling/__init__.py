"""What the running service spends its time and memory on, asked for on the internal port."""

from app.pattern import Pattern
from app.pattern import Resource
from app.profiling.lag import LoopWatch
from app.profiling.profiles import Profiles
from app.profiling.routes import internal_routes
from app.profiling.settings import ProfilingSettings as ProfilingSettings
from app.service import Service


def _resources(service: Service) -> list[Resource]:
    settings = service.settings(ProfilingSettings)
    return [LoopWatch(settings, lambda: service.started), Profiles()]


pattern = Pattern(
    name="profiling",
    settings=ProfilingSettings,
    resources=_resources,
    internal=internal_routes,
)
