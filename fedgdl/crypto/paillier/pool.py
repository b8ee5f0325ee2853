"""A pool of obfuscators made beforehand, so that encrypting is quick when it matters.

Obfuscators do not depend on what they hide. Made while there is nothing else to do, they leave an encryption about
one product modulo n^2, packing included. Each is given out once and forgotten; when none is left, fresh ones are made
on the spot. One takes 0.9 KB with a key of 2,048 bits, and 1.1 KB with 3,072.

Not here: when a worker has nothing else to do (`clients.protection`).

Threat model: as in `obfuscators`. Whoever reads the pool's memory before an obfuscator is used can later take it off
    the ciphertext: a pool is no weaker than the plaintexts, which are in the same memory.

Not protected against: a process whose memory is saved and started twice, as a virtual machine's may be: both would
    give out the same obfuscators. A forked process finds its pool empty.

Example:
    >>> from fedgdl.crypto.paillier.obfuscators import make_obfuscators
    >>> n = 1019 * 1187  # a real one has 2048 bits or more
    >>> pool = ObfuscatorPool(make_obfuscators(PaillierPublicKey(n, hs=pow(-(5**2), n, n * n))), capacity=10)
    >>> pool.fill()
    >>> drawn = pool.draw(4)
    >>> len(drawn), len(pool)
    (4, 6)
"""

import os
import threading
from collections import deque
from typing import Final, NoReturn

from gmpy2 import mpz

from fedgdl.crypto.paillier.obfuscators import Obfuscators
from fedgdl.crypto.paillier.public_key import PaillierPublicKey, SplitObfuscator
from fedgdl.errors import CryptoError

__all__ = ["ObfuscatorPool"]

_BATCH: Final = 8
"""So many are made before the thread looks whether it is to pause: 1 to 4 ms with a table for a key of 2,048 bits."""


class ObfuscatorPool:
    """Obfuscators made beforehand, each given out once.

    May be used by several threads at once. Its own thread, if started, fills it whenever it is not full and nobody
    waits for fresh ones; an error of the source ends that thread and is raised to whoever uses the pool next.

    Args:
        source: makes them; it is asked by one thread at a time.
        capacity: how many are kept at most.

    Attributes:
        public_key: of the source.

    Raises:
        CryptoError: the capacity is negative.
    """

    def __init__(self, source: Obfuscators, capacity: int) -> None:
        if capacity < 0:
            message = f"a pool keeps 0 obfuscators or more, not {capacity}"
            raise CryptoError(message)
        self.public_key: PaillierPublicKey = source.public_key
        self._source, self._capacity = source, capacity
        self._is_paused = False
        self._begin()

    def _begin(self) -> None:
        self._process_id = os.getpid()
        self._ready: deque[SplitObfuscator] = deque()
        self._state = threading.Condition()  # of all that changes below, and of the obfuscators that are ready
        self._source_lock = threading.Lock()  # taken first, where both are
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._is_stopped = False
        self._num_asking = 0

    def __len__(self) -> int:
        """Returns how many are ready."""
        return len(self._ready) if self._process_id == os.getpid() else 0

    def draw(self, count: int) -> list[mpz]:
        """Returns so many obfuscators: those that are ready first, and the rest fresh."""
        return [self.public_key.join(*split) for split in self.draw_split(count)]

    def draw_split(self, count: int) -> list[SplitObfuscator]:
        """Returns so many obfuscators, split by n as encryption needs them, which was done beforehand, too."""
        self._enter()
        with self._state:
            drawn = [self._ready.popleft() for _ in range(min(count, len(self._ready)))]
            self._state.notify_all()
        return drawn if len(drawn) == count else drawn + self._make_at_once(count - len(drawn))

    def _make_at_once(self, count: int) -> list[SplitObfuscator]:
        """Makes some that are waited for: the thread lets go of the source meanwhile."""
        with self._state:
            self._num_asking += 1
        try:
            with self._source_lock:
                return self._make(count)
        finally:
            with self._state:
                self._num_asking -= 1
                self._state.notify_all()

    def fill(self) -> None:
        """Makes as many as are missing; ends early only by an exception, as Ctrl-C raises it."""
        self._enter()
        is_full = False
        while not is_full:
            with self._source_lock:
                self._add_batch()
                is_full = len(self._ready) >= self._capacity

    def start(self) -> None:
        """Starts the thread that fills the pool, unless it runs."""
        self._enter()
        if self._thread is None:
            self._is_stopped = False
            self._thread = threading.Thread(target=self._run, name="obfuscators", daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """Has the thread rest, if it runs or when it is started; returns when it does."""
        self._leave_parent()
        with self._state:
            self._is_paused = True
        with self._source_lock:  # what it is at, a few milliseconds, is finished
            pass

    def resume(self) -> None:
        """Lets the thread go on."""
        self._leave_parent()
        with self._state:
            self._is_paused = False
            self._state.notify_all()

    def stop(self) -> None:
        """Ends the thread; what is ready remains, and the thread may be started again."""
        self._leave_parent()
        with self._state:
            self._is_stopped = True
            self._state.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._enter()

    def _enter(self) -> None:
        """Forgets what belongs to a parent process, and raises what ended the thread."""
        self._leave_parent()
        failure, self._failure = self._failure, None
        if failure is not None:
            self._thread = None
            raise failure

    def _leave_parent(self) -> None:
        """Forgets what belongs to a parent process: its obfuscators, and locks that its threads held at the fork."""
        if self._process_id != os.getpid():
            self._begin()

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                with self._source_lock:
                    if self._has_work():  # as it may not have any longer: a pause begins while the source is awaited
                        self._add_batch()
        except Exception as error:  # noqa: BLE001 - a thread has no caller: whoever uses the pool next is to know
            self._failure = error

    def _wait_for_work(self) -> bool:
        with self._state:
            self._state.wait_for(lambda: self._is_stopped or self._has_work())
            return not self._is_stopped

    def _has_work(self) -> bool:
        return not self._is_paused and not self._num_asking and len(self._ready) < self._capacity

    def _add_batch(self) -> None:
        """Makes a few, if any are missing; the source is the caller's."""
        fresh = self._make(min(_BATCH, self._capacity - len(self._ready)))
        with self._state:
            self._ready.extend(fresh)

    def _make(self, count: int) -> list[SplitObfuscator]:
        return [self.public_key.split(obfuscator) for obfuscator in self._source.draw(count)] if count > 0 else []

    def __repr__(self) -> str:
        """Returns how many are ready, and none of them."""
        return f"ObfuscatorPool({len(self):,} of {self._capacity:,} ready)"

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled or copied: an obfuscator that is given out twice hides nothing.

        Raises:
            TypeError: always.
        """
        message = "each obfuscator is used once: a pool of them cannot be pickled or copied"
        raise TypeError(message)
