"""Instances of the service behind a balancer, replaced one after the other."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .haproxy import Balancer
from .haproxy import Slot
from .service import Api
from .service import Service


@dataclass(frozen=True)
class Instance:
    """An api process in its place, maybe a worker beside it, and what the place had served."""

    slot: Slot
    processes: list[Api]
    served_before: int


class Fleet:
    """What is deployed: as many instances as the balancer has places, less one.

    script: what runs the workers; None for instances without
    """

    def __init__(self, balancer: Balancer, script: Path | None, **environment: str) -> None:
        self.balancer = balancer
        self.instances: list[Instance] = []
        self.workers: list[Api] = []
        self.handed_over = 0
        self._script, self._environment = script, environment
        self._free = list(balancer.slots)

    def start(self, service: Service) -> Instance:
        """Start one more instance, of this version."""
        slot = self._free.pop(0)
        instance = Instance(slot, [], self.balancer.served(slot))
        self.instances.append(instance)
        ports = {"PORT": str(slot.port), "INTERNAL_PORT": str(slot.internal_port)}
        instance.processes.append(service.start("api", **ports, **self._environment))
        if self._script:
            self.workers.append(service.start("worker", self._script, **self._environment))
            instance.processes.append(self.workers[-1])
        return instance

    def wait_until_ready(self) -> None:
        """Wait until all are ready, and the balancer knows."""
        for instance in self.instances:
            wait_for(instance)
        self.balancer.wait_until_ready(*(instance.slot for instance in self.instances))

    def replace(self, service: Service) -> None:
        """Replace the oldest instance by one of this version: that is ready first, then SIGTERM."""
        wait_for(self.start(service))
        old = self.instances.pop(0)
        self.handed_over += self.in_flight()
        for process in old.processes:
            process.process.send(signal.SIGTERM)
        for process in old.processes:
            assert process.process.wait(40) == 0, process.process.tail()
        served = self.balancer.served(old.slot) - old.served_before
        assert served, f"{old.slot.name} got no request: this proves nothing"
        self._free.append(old.slot)

    def in_flight(self) -> int:
        """How many jobs are just being done."""
        return len(self.mails("mail_begun")) - len(self.mails("mail"))

    def mails(self, event: str) -> list[str]:
        """The keys of the mails that all workers there were have begun, or sent."""
        return [said["key"] for worker in self.workers for said in worker.events(event)]

    def kill(self) -> None:
        """Leave no process behind."""
        for instance in self.instances:
            for process in instance.processes:
                process.process.end(signal.SIGKILL)
        for worker in self.workers:
            worker.process.end(signal.SIGKILL)


def wait_for(instance: Instance) -> None:
    """Wait until all its processes are ready."""
    for process in instance.processes:
        process.wait_until_ready()


@contextmanager
def fleet(
    balancer: Balancer, service: Service, script: Path | None = None, /, **environment: str
) -> Iterator[Fleet]:
    """A fleet of this version, ready; all its processes are gone after the block."""
    made = Fleet(balancer, script, **environment)
    try:
        for _ in balancer.slots[1:]:
            made.start(service)
        made.wait_until_ready()
        yield made
    finally:
        made.kill()
