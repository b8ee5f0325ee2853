"""A program of its own that logs from worker processes: the relays need a say in the start method of a program.

    python log_program.py START_METHOD RELAY SCENARIO

Prints what the coordinator's handlers got, as JSON.
"""

import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from fedgdl.runtime import LogEnd, LogRelay, make_relay, send_logs_to
from fedgdl.runtime.logs import PipeRelay, QueueRelay

GIVE_UP_SECONDS = 30.0

Work = Callable[["Connection[Any, Any]"], None]


class Collector(logging.Handler):
    """Keeps records as JSON can write them."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.records: list[dict[str, Any]] = []
        self.arrived = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        shown = {
            name: getattr(record, name) for name in ("name", "levelname", "created", "msecs", "process", "processName")
        }
        with self.arrived:
            self.records.append({**shown, "text": record.getMessage(), "line": self.format(record)})
            self.arrived.notify_all()

    def count(self, text: str) -> int:
        """Returns how many records begin with a text."""
        return sum(record["text"].startswith(text) for record in list(self.records))

    def has(self, text: str, count: int) -> bool:
        """Tells whether that many records begin with a text."""
        return self.count(text) == count

    def has_heard_of(self, process_name: str) -> bool:
        """Tells whether a record of that process is among them."""
        return any(record["processName"] == process_name for record in list(self.records))


class LoggingWorker:
    """A spawned process that logs through a relay, and a pipe to tell it when."""

    def __init__(self, relay: LogRelay, name: str, work: Work, level: int = logging.DEBUG) -> None:
        context = multiprocessing.get_context("spawn")
        self.relay = relay
        self.orders, there = context.Pipe(duplex=True)
        self.process: BaseProcess = context.Process(
            target=run_worker, args=(relay.worker_end, level, there, work), name=name, daemon=True
        )
        self.process.start()
        there.close()
        relay.worker_started()


def run_worker(end: LogEnd, level: int, orders: "Connection[Any, Any]", work: Work) -> None:
    """Runs in the worker process."""
    send_logs_to(end, level)
    work(orders)


def pump(workers: list[LoggingWorker], collector: Collector, is_done: Callable[[], bool]) -> None:
    """Passes records on, as an engine does, until something has come about."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            sys.exit(
                f"nothing more comes; the last records: {[record['text'][:80] for record in collector.records[-5:]]}"
            )
        connections = [worker.relay.connection for worker in workers if worker.relay.connection is not None]
        if connections:
            wait(connections, 0.1)
        else:
            with collector.arrived:
                collector.arrived.wait(0.1)
        for worker in workers:
            worker.relay.drain()


def end(workers: list[LoggingWorker], collector: Collector) -> float:
    """Lets the workers come to their end and closes their relays; returns how many seconds closing took."""
    pump(workers, collector, lambda: not any(worker.process.is_alive() for worker in workers))
    began = time.perf_counter()
    for worker in workers:
        worker.process.join()
        worker.relay.close()
    for worker in workers:
        worker.relay.join()
    return time.perf_counter() - began


# What workers do


def log_all_sorts(_orders: "Connection[Any, Any]") -> None:
    """Logs one record of each sort and ends at once."""
    logger = logging.getLogger("fedgdl.somewhere")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(level, "level %s of %d", logging.getLevelName(level), 4)
    try:
        {"an effect": 1}["the cause"]
    except KeyError:
        logger.exception("with traceback")
    logger.info("unpicklable", extra={"lock": threading.Lock(), "function": lambda: None})
    logger.info("half a character: \udcff")
    logger.info("long: %s", "é" * 1_500_000)
    logging.getLogger("fedgdl.quiet").info("quiet")
    logging.getLogger("fedgdl.quiet").warning("not quiet")
    logging.getLogger().info("root")
    logger.info("last words of %s", os.getpid())


def log_much_and_end(_orders: "Connection[Any, Any]") -> None:
    """Logs faster than anybody reads, and ends."""
    for number in range(5_000):
        logging.getLogger("fedgdl").info("much %d", number)


def log_until_killed(_orders: "Connection[Any, Any]") -> None:
    """Logs without a pause, records larger than what a pipe writes at once."""
    while True:
        logging.getLogger("fedgdl").info("victim %s", "x" * 20_000)


def log_when_told(orders: "Connection[Any, Any]") -> None:
    """Logs twenty records for each text that comes, until an empty one comes."""
    while text := orders.recv():
        for number in range(20):
            logging.getLogger("fedgdl").info("%s %d", text, number)


def log_a_mistake(_orders: "Connection[Any, Any]") -> None:
    """Logs with arguments that do not fit, which must cost that record only."""
    logging.getLogger("fedgdl").info("before")
    logging.getLogger("fedgdl").info("%d", "no number")
    logging.getLogger("fedgdl").info("after")


def log_and_raise(_orders: "Connection[Any, Any]") -> None:
    """Logs and ends with an error."""
    logging.getLogger("fedgdl").info("before the error")
    sys.exit(3)


def log_behind_the_end(_orders: "Connection[Any, Any]") -> None:
    """Logs while the process is ending, after its last records have been waited for."""
    multiprocessing.util.Finalize(None, logging.getLogger("fedgdl").info, ("too late",), exitpriority=50)
    logging.getLogger("fedgdl").info("in time")


# Scenarios


def simple(make: Callable[[], LogRelay], work: Work) -> dict[str, Any]:
    """One worker that ends by itself; the coordinator's handlers and loggers have levels and a filter."""
    all_records, warnings, filtered = Collector(), Collector(logging.WARNING), Collector()
    filtered.addFilter(lambda record: record.getMessage().startswith("level"))
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    root.handlers[:] = [all_records, warnings, filtered]
    logging.getLogger("fedgdl.quiet").setLevel(logging.WARNING)
    began = time.time()
    workers = [LoggingWorker(make(), "worker-7", work)]
    pid = workers[0].process.pid
    seconds = end(workers, all_records)
    return {
        "pid": pid,
        "began": began,
        "ended": time.time(),
        "closing_seconds": seconds,
        "exit_code": workers[0].process.exitcode,
        "all": all_records.records,
        "warnings": [record["text"] for record in warnings.records],
        "filtered": [record["text"] for record in filtered.records],
    }


def kill(make: Callable[[], LogRelay], _work: Work) -> dict[str, Any]:
    """Three workers are killed while they log hard; a fourth logs before and after that."""
    collector = Collector()
    logging.getLogger().handlers[:] = [collector]
    logging.getLogger().setLevel(logging.DEBUG)
    victims = [LoggingWorker(make(), f"victim-{number}", log_until_killed) for number in range(3)]
    survivor = LoggingWorker(make(), "survivor", log_when_told)
    workers = [*victims, survivor]
    survivor.orders.send("before")
    pump(workers, collector, partial(collector.has, "before", 20))
    for number, victim in enumerate(victims):
        pump(workers, collector, partial(collector.has_heard_of, victim.process.name))
        os.kill(victim.process.pid or 0, signal.SIGKILL)
        victim.process.join()
        survivor.orders.send("after")
        pump(workers, collector, partial(collector.has, "after", 20 * (number + 1)))
    closing_seconds = end(victims, collector)
    survivor.orders.send("last")
    survivor.orders.send("")
    end([survivor], collector)
    logging.getLogger("fedgdl").info("the coordinator")
    return {
        "closing_seconds": closing_seconds,
        "counts": {name: collector.count(name) for name in ("before", "after", "last", "the coordinator")},
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


def choice(_make: Callable[[], LogRelay], _work: Work) -> dict[str, Any]:
    """Which relay is chosen."""
    relay = make_relay("x")
    relay.close()
    relay.join()
    return {"relay": type(relay).__name__, "start_method": multiprocessing.get_start_method(allow_none=True)}


def main(start_method: str, relay: str, scenario: str) -> None:
    """Runs one scenario."""
    if start_method != "none":
        multiprocessing.set_start_method(start_method)
    make: Callable[[], LogRelay] = PipeRelay if relay == "pipe" else lambda: QueueRelay("worker")
    work = globals()[scenario] if scenario.startswith("log_") else log_all_sorts
    run = {"kill": kill, "choice": choice}.get(scenario, simple)
    sys.stdout.write(json.dumps(run(make, work)))


if __name__ == "__main__":
    main(*sys.argv[1:])
