import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fedgdl.runtime import ignore_interrupts, interrupted_once, interrupts_deferred

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signals")


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Lets no test change what another, or pytest, does with signals."""
    before = signal_state()
    yield
    assert signal_state() == before


def signal_state() -> list[object]:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), mask]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def other_thread() -> Iterator[None]:
    """Keeps a second thread alive, to which the operating system may give a signal as well."""
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


# Deferral


def test_an_interrupt_waits_until_the_block_has_ended() -> None:
    steps = []

    def work() -> None:
        with interrupts_deferred():
            interrupt()
            interrupt()
            steps.append("within")
        steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["within"]


def test_an_interrupt_that_another_thread_receives_waits_too() -> None:
    steps = []
    here, there = socket.socketpair()
    there.setblocking(False)  # noqa: FBT003 (so it is called)

    def work() -> None:
        with interrupts_deferred():
            interrupt()
            received, _, _ = select.select([here], [], [], 10)  # the other thread has it now
            signal.pthread_sigmask(signal.SIG_BLOCK, [])  # looks whether there is a signal to handle
            steps.append(bool(received))

    with here, there, other_thread():
        former = signal.set_wakeup_fd(there.fileno())
        try:
            with pytest.raises(KeyboardInterrupt):
                work()
        finally:
            signal.set_wakeup_fd(former)
    assert steps == [True]


def test_without_an_interrupt_nothing_is_raised() -> None:
    with interrupts_deferred():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_the_inner_of_two_deferrals_does_not_end_the_outer_one() -> None:
    steps = []

    def work() -> None:
        with interrupts_deferred():
            with interrupts_deferred():
                interrupt()
                steps.append("inner")
            steps.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["inner", "outer"]


def test_an_error_in_the_block_is_kept_as_the_interrupts_context() -> None:
    def fail() -> None:
        with interrupts_deferred():
            interrupt()
            message = "on the way"
            raise ValueError(message)

    with pytest.raises(KeyboardInterrupt) as caught:
        fail()
    assert isinstance(caught.value.__context__, ValueError)
    with pytest.raises(ValueError, match="calm"), interrupts_deferred():
        raise ValueError("calm")  # noqa: EM101


def test_off_the_main_thread_a_deferral_changes_nothing_for_others() -> None:
    before = signal_state()
    seen: list[object] = []

    def work() -> None:
        with interrupts_deferred(), interrupted_once():
            seen.append([signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)])
        seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before[:2], before[2]]


# SIGTERM


def test_a_termination_is_an_interrupt_within_the_block() -> None:
    with pytest.raises(KeyboardInterrupt), interrupted_once():
        terminate()


def test_a_termination_is_deferred_where_it_counts_as_an_interrupt() -> None:
    steps = []

    def work() -> None:
        with interrupted_once():
            with interrupts_deferred():
                terminate()
                steps.append("within")
            steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["within"]


def test_the_former_treatment_of_sigterm_comes_back() -> None:
    seen = []
    former = signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
    try:
        with interrupted_once(), interrupted_once():
            pass
        with pytest.raises(ValueError, match="x"), interrupted_once():
            raise ValueError("x")  # noqa: EM101
        terminate()
    finally:
        signal.signal(signal.SIGTERM, former)
    assert seen == [signal.SIGTERM]


# Child processes

CHILD = """
import os, signal
from fedgdl.runtime import ignore_interrupts
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True)
ignore_interrupts()
os.kill(os.getpid(), signal.SIGINT)
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT).name)
"""


def test_a_child_inherits_the_deferral_and_takes_it_back() -> None:
    def run_child() -> list[str]:
        done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
        return done.stdout.split()

    with interrupts_deferred():
        assert run_child() == ["True", "False", "SIG_IGN"]
    assert run_child() == ["False", "False", "SIG_IGN"]


def test_ignoring_interrupts_ignores_them() -> None:
    former = signal.getsignal(signal.SIGINT)
    try:
        ignore_interrupts()
        interrupt()
        with interrupts_deferred():
            interrupt()
    finally:
        signal.signal(signal.SIGINT, former)
