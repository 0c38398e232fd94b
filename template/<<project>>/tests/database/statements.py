"""The table `probe`, and statements on it."""

from sqlalchemy import Column
from sqlalchemy import Double
from sqlalchemy import Integer
from sqlalchemy import MetaData
from sqlalchemy import Table
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import literal_column
from sqlalchemy import select

from app.database import Statement

PROBE = Table("probe", MetaData(), Column("n", Integer, primary_key=True, autoincrement=False))

ONE = Statement("test_one", select(literal_column("1").label("one")))
PID = Statement("test_pid", select(func.pg_backend_pid().label("pid")))
SLEEP = Statement("test_sleep", select(func.pg_sleep(bindparam("seconds", type_=Double))))
READ = Statement("test_read", select(PROBE.c.n).where(PROBE.c.n == bindparam("wanted")))
WRITE = Statement("test_write", insert(PROBE).values(n=bindparam("n")))
