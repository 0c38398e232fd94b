"""Jobs at the times of cron expressions: at each tick one, whatever dies."""

from app.pattern import Pattern
from app.scheduler.command import SCHEDULES
from app.scheduler.process import SCHEDULER
from app.scheduler.schedule import CatchUp as CatchUp
from app.scheduler.schedule import Overlap as Overlap
from app.scheduler.schedule import Schedule as Schedule
from app.scheduler.settings import SchedulerSettings as SchedulerSettings

pattern = Pattern(
    name="scheduler",
    settings=SchedulerSettings,
    commands=(SCHEDULER, SCHEDULES),
)
