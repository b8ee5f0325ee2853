# ruff: noqa: SLF001 - a table's insides are looked into, to measure what it would bring to share them
"""Two more ways for a process to have the table of a key's powers, to compare with making one itself.

The numbers of a table, as they are in memory, lie in one block that many processes may map: one that starts copies
them, or leaves them where they are. Where they are Python's own numbers (without lanes), they cannot be left there:
each is made of bytes whenever it is needed. What is computed with them is the same in all ways.

Example:
    >>> from fedgdl.crypto.paillier.private import generate
    >>> own = TableObfuscators(generate(128).public_key, random_bytes=lambda count: bytes([7]) * count)
    >>> block = table_bytes(own)
    >>> own.draw(2) == copied(own, block).draw(2) == mapped(own, block).draw(2)
    True
"""

from typing import Any, cast

import numpy as np
from gmpy2 import mpz

from fedgdl.crypto.paillier import TableObfuscators
from fedgdl.crypto.paillier.lanes import LaneTable
from fedgdl.crypto.paillier.power_table import PowerTable

__all__ = ["copied", "mapped", "table_bytes"]

Block = bytes | memoryview


def table_bytes(obfuscators: TableObfuscators) -> bytes:
    """Returns all numbers of a table."""
    table = obfuscators._table
    if table._lanes is not None:
        return table._lanes._table.tobytes()
    width = _width(table)
    return b"".join(number.to_bytes(width, "little") for row in table._rows for entries in row for number in entries)


def copied(like: TableObfuscators, block: Block) -> TableObfuscators:
    """Returns obfuscators with a copy of the numbers in a block, which is not needed any more.

    Args:
        like: of the same key; everything is taken of it but the numbers.
        block: holds the numbers.
    """
    return _with_numbers(like, block, is_copy=True)


def mapped(like: TableObfuscators, block: Block) -> TableObfuscators:
    """Returns obfuscators that look the numbers up in a block for as long as they are used; else as `copied`."""
    return _with_numbers(like, block, is_copy=False)


class _Entries:
    """Numbers of a table in a block of memory."""

    def __init__(self, block: Block, width: int) -> None:
        self._block, self._width = block, width

    def __getitem__(self, index: int) -> mpz:
        """Returns the number at a place."""
        start = index * self._width
        return mpz.from_bytes(self._block[start : start + self._width], "little")


def _with_numbers(like: TableObfuscators, block: Block, *, is_copy: bool) -> TableObfuscators:
    table = _twin(like._table, PowerTable)
    if table._lanes is not None:
        lanes = _twin(table._lanes, LaneTable)
        numbers = np.frombuffer(block, np.uint64, lanes._table.size).reshape(lanes._table.shape)
        lanes._table = numbers.copy() if is_copy else numbers
        table._lanes = lanes
    else:
        table._rows = _rows(table, block, is_copy=is_copy)
    obfuscators = object.__new__(TableObfuscators)
    vars(obfuscators).update(vars(like), _table=table)
    return obfuscators


def _twin(original: Any, kind: type[Any]) -> Any:  # noqa: ANN401 (of the same class as the original)
    """Returns another object of the same insides, which its class refuses to copy, as it may hold a secret."""
    twin = object.__new__(kind)
    for name in (name for each in kind.__mro__ for name in getattr(each, "__slots__", ())):
        setattr(twin, name, getattr(original, name))
    return twin


def _rows(table: PowerTable, block: Block, *, is_copy: bool) -> list[tuple[list[mpz], list[mpz]]]:
    rows, start, width = [], 0, _width(table)
    for row in table._rows:
        parts = []
        for entries in row:
            stop = start + len(entries) * width
            numbers = _Entries(block[start:stop], width)
            parts.append([numbers[index] for index in range(len(entries))] if is_copy else numbers)
            start = stop
        rows.append(cast("tuple[list[mpz], list[mpz]]", tuple(parts)))
    return rows


def _width(table: PowerTable) -> int:
    return -(-int(table._root.bit_length()) // 8)
