"""The pool: each obfuscator once, whoever draws and whatever its thread does meanwhile."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from small_paillier import CountedObfuscators, small_key

from fedgdl.crypto.paillier import ObfuscatorPool, pool
from fedgdl.errors import CryptoError

KEY = small_key().public_key
CAPACITY = 20
SECONDS = 30
"""No thread here is waited for longer; none takes a second."""


class PooledDraws(RuleBasedStateMachine):
    """Draws and fillings in any order: the source's obfuscators come out in its order, none left out, none twice."""

    def __init__(self) -> None:
        super().__init__()
        self.source = CountedObfuscators(KEY)
        self.pool = ObfuscatorPool(self.source, CAPACITY)
        self.drawn: list[mpz] = []

    @rule(count=st.integers(0, 2 * CAPACITY))
    def draw(self, count: int) -> None:
        num_ready = len(self.pool)
        drawn = self.pool.draw(count)
        assert len(drawn) == count
        assert len(self.pool) == max(0, num_ready - count)
        self.drawn += drawn

    @rule()
    def fill(self) -> None:
        self.pool.fill()
        assert len(self.pool) == CAPACITY

    @invariant()
    def each_is_given_out_once(self) -> None:
        assert self.source.numbers(self.drawn) == list(range(2, len(self.drawn) + 2))
        assert self.source.num_drawn == len(self.drawn) + len(self.pool)


TestPooledDraws = PooledDraws.TestCase
TestPooledDraws.settings = settings(max_examples=30, stateful_step_count=20)


class GatedObfuscators(CountedObfuscators):
    """Waits at a gate each time it is asked for some, and tells who asks."""

    def __init__(self) -> None:
        super().__init__(KEY, self._wait)
        self.asked = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.askers: list[str] = []

    def _wait(self, count: int) -> None:
        self.askers.append(threading.current_thread().name)
        self.asked.release()
        assert self.gate.acquire(timeout=SECONDS)

    def open(self) -> None:
        """Lets everybody through from now on."""
        self.gate.release(1000)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline


@pytest.fixture
def short_turns() -> Iterator[None]:
    """Has threads take turns a hundred times as often as usual."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(former / 100)
    yield
    sys.setswitchinterval(former)


def test_the_thread_fills_the_pool_and_fills_it_again() -> None:
    source = CountedObfuscators(KEY)
    filled = ObfuscatorPool(source, CAPACITY)
    filled.start()
    wait_until(lambda: len(filled) == CAPACITY)
    assert source.numbers(filled.draw(7)) == list(range(2, 9))
    wait_until(lambda: len(filled) == CAPACITY)
    filled.stop()
    assert source.num_drawn == CAPACITY + 7
    assert source.numbers(filled.draw(CAPACITY)) == list(range(9, CAPACITY + 9))


@pytest.mark.usefixtures("short_turns")
def test_threads_that_draw_at_once_get_each_obfuscator_once() -> None:
    source = CountedObfuscators(KEY)
    shared = ObfuscatorPool(source, CAPACITY)
    begin = threading.Barrier(5)

    def draw(seed: int) -> list[mpz]:
        rng = np.random.default_rng(seed)
        begin.wait(SECONDS)
        return [obfuscator for count in rng.integers(0, 15, 40) for obfuscator in shared.draw(int(count))]

    def disturb() -> None:
        begin.wait(SECONDS)
        for _ in range(40):
            shared.pause()
            shared.fill()
            shared.resume()

    shared.start()
    with ThreadPoolExecutor(5) as threads:
        disturbed, drawn = threads.submit(disturb), list(threads.map(draw, range(4)))
        disturbed.result(SECONDS)
    shared.stop()
    numbers = source.numbers([obfuscator for each in drawn for obfuscator in each] + shared.draw(len(shared)))
    assert sorted(numbers) == list(range(2, source.num_drawn + 2))


def test_a_pause_waits_for_what_is_being_made_and_no_longer() -> None:
    source = GatedObfuscators()
    paused = ObfuscatorPool(source, CAPACITY)
    paused.start()
    assert source.asked.acquire(timeout=SECONDS)
    with ThreadPoolExecutor(1) as threads:
        pausing = threads.submit(paused.pause)
        wait_until(lambda: paused._is_paused)
        assert not pausing.done()
        source.open()
        pausing.result(SECONDS)
    num_ready = len(paused)
    assert num_ready == source.num_drawn == pool._BATCH < CAPACITY
    assert source.numbers(paused.draw(num_ready)) == list(range(2, num_ready + 2))  # what is ready is not kept back
    paused.resume()
    wait_until(lambda: len(paused) == CAPACITY)
    paused.stop()


class TellingLock:
    """A lock that tells when somebody wants it."""

    def __init__(self) -> None:
        self.wanted = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        self.wanted.set()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_a_thread_that_is_paused_while_it_waits_for_the_source_makes_nothing() -> None:
    source = CountedObfuscators(KEY)
    paused = ObfuscatorPool(source, CAPACITY)
    telling = TellingLock()
    paused._source_lock = telling  # type: ignore[assignment]
    with telling.lock:
        paused.start()
        assert telling.wanted.wait(SECONDS)
        paused._is_paused = True
    paused.pause()
    paused.stop()
    assert source.num_drawn == 0


def test_a_thread_that_starts_paused_makes_nothing() -> None:
    source = CountedObfuscators(KEY)
    paused = ObfuscatorPool(source, CAPACITY)
    paused.pause()
    paused.start()
    assert source.numbers(paused.draw(3)) == [2, 3, 4]
    paused.stop()
    assert source.num_drawn == 3


def test_who_waits_comes_before_the_thread() -> None:
    source = GatedObfuscators()
    busy = ObfuscatorPool(source, CAPACITY)
    busy.start()
    assert source.asked.acquire(timeout=SECONDS)
    with ThreadPoolExecutor(1, "waiting") as threads:
        drawing = threads.submit(busy.draw, 5)
        wait_until(lambda: busy._num_asking == 1)
        source.open()
        drawn = drawing.result(SECONDS)
    assert source.numbers(drawn) == [number + 2 + pool._BATCH for number in range(5)]
    busy.stop()
    assert source.askers[:2] == ["obfuscators", "waiting_0"]


def test_a_thread_starts_once_and_again_after_its_end() -> None:
    source = CountedObfuscators(KEY)
    again = ObfuscatorPool(source, CAPACITY)
    again.stop()
    for round_index in (1, 2):
        again.start()
        thread = again._thread
        again.start()
        assert again._thread is thread
        wait_until(lambda: len(again) == CAPACITY)
        again.stop()
        assert thread is not None
        assert not thread.is_alive()
        again.stop()
        assert source.numbers(again.draw(CAPACITY))[0] == 2 + (round_index - 1) * CAPACITY


def fail(count: int) -> None:
    message = f"no {count} random numbers"
    raise CryptoError(message)


@pytest.mark.parametrize("use", [lambda used: used.draw(1), lambda used: used.fill(), lambda used: used.stop()])
def test_what_ends_the_thread_is_told_to_whoever_comes_next(use: Callable[[ObfuscatorPool], object]) -> None:
    failing = ObfuscatorPool(CountedObfuscators(KEY, fail), CAPACITY)
    failing.start()
    thread = failing._thread
    assert thread is not None
    thread.join(SECONDS)
    with pytest.raises(CryptoError, match=f"no {pool._BATCH} random numbers"):
        use(failing)
    failing.stop()  # told once


def test_an_interrupted_filling_keeps_what_is_made() -> None:
    def interrupt(_: int) -> None:
        if source.num_drawn >= pool._BATCH:
            raise KeyboardInterrupt

    source = CountedObfuscators(KEY, interrupt)
    interrupted = ObfuscatorPool(source, CAPACITY)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fill()
    assert source.numbers(interrupted.draw(pool._BATCH)) == list(range(2, 2 + pool._BATCH))
    with pytest.raises(KeyboardInterrupt):
        interrupted.draw(1)
    assert interrupted._num_asking == 0


FORKING = """
import os, warnings
warnings.simplefilter("ignore")  # that forking with threads is dangerous is the point
from fedgdl.crypto.paillier import ObfuscatorPool, PaillierPublicKey, make_obfuscators
n = {n}
pool = ObfuscatorPool(make_obfuscators(PaillierPublicKey(n, {hs})), 40)
pool.fill()
pool.start()
child = os.fork()
told = len(pool), *pool.draw(10)
if child == 0:
    print("child", *told, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", *told)
pool.stop()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_gets_none_of_its_parents() -> None:
    program = FORKING.format(n=KEY.n, hs=KEY.hs)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert (lines["parent"][0], lines["child"][0]) == ("40", "0")
    assert len({*lines["parent"][1:], *lines["child"][1:]}) == 20


FORKING_WHILE_FILLING = """
import os, signal, threading, warnings
warnings.simplefilter("ignore")  # as above
from fedgdl.crypto.paillier import ObfuscatorPool, PaillierPublicKey

class Waiting:
    public_key, has_begun, may_end = PaillierPublicKey({n}), threading.Event(), threading.Event()

    def draw(self, count):
        if threading.current_thread().name == "obfuscators":
            self.has_begun.set()
            assert self.may_end.wait(30)
        return [1] * count

source = Waiting()
pool = ObfuscatorPool(source, 8)
pool.start()
assert source.has_begun.wait(30)  # the thread has the source to itself
for call in (pool.pause, pool.stop):
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a lock that is never let go of ends the child
        call()
        print(len(pool), len(pool.draw(3)), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
source.may_end.set()
pool.stop()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_does_not_wait_for_a_thread_of_its_parents() -> None:
    program = FORKING_WHILE_FILLING.format(n=KEY.n)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "0 3\n" * 2), done.stderr


def test_a_pool_is_never_copied_or_shown() -> None:
    secret = ObfuscatorPool(CountedObfuscators(KEY), CAPACITY)
    secret.fill()
    for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="used once"):
            give_away(secret)
    assert repr(secret) == f"ObfuscatorPool({CAPACITY} of {CAPACITY} ready)"


def test_a_pool_is_of_its_sources_key_and_may_be_of_another_pool() -> None:
    source = CountedObfuscators(KEY)
    outer = ObfuscatorPool(ObfuscatorPool(source, 3), CAPACITY)
    outer.fill()
    assert outer.public_key is KEY
    assert source.numbers(outer.draw(CAPACITY + 2)) == list(range(2, CAPACITY + 4))


def test_a_negative_capacity_is_refused() -> None:
    with pytest.raises(CryptoError, match="0 obfuscators or more"):
        ObfuscatorPool(CountedObfuscators(KEY), -1)
