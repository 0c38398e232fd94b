"""Background jobs in PostgreSQL, enqueued in the transaction of the data they are about."""

from app.database import Database
from app.pattern import Pattern
from app.queue.command import JOBS
from app.queue.enqueue import job_of_each as job_of_each
from app.queue.kinds import Handler as Handler
from app.queue.kinds import Job as Job
from app.queue.kinds import Kind as Kind
from app.queue.process import WORKER
from app.queue.queue import KeyTaken as KeyTaken
from app.queue.queue import Queue as Queue
from app.queue.settings import QueueSettings as QueueSettings

pattern = Pattern(
    name="queue",
    settings=QueueSettings,
    resources=lambda service: [Queue(service.get(Database))],
    commands=(WORKER, JOBS),
)
