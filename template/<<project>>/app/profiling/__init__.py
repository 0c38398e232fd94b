"""What the running service spends its time and memory on, asked for on the internal port."""

from app.pattern import Pattern
from app.profiling.lag import LoopWatch
from app.profiling.profiles import Profiles
from app.profiling.routes import internal_routes
from app.profiling.settings import ProfilingSettings as ProfilingSettings

pattern = Pattern(
    name="profiling",
    settings=ProfilingSettings,
    resources=lambda service: [LoopWatch(service.settings(ProfilingSettings)), Profiles()],
    internal=internal_routes,
)
