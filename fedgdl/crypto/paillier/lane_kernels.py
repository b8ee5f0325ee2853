"""The arithmetic of `lanes`: modular products of eight large numbers at once, compiled for this processor.

A number is a row of limbs of 52 bits; eight numbers side by side, a group, are a row of vectors of eight limbs. Several
thousand halves of products fit in a word, so nothing is carried until a number is complete.

Products are Montgomery's: x y / 2^(52 K) modulo m, where y has K limbs. The multiples of x by four limbs of y are
added up at a time, then as many multiples of m as make the four lowest limbs 0, which are dropped. Numbers below 2 m
give such numbers again, so nothing is compared or subtracted: no instruction and no address depends on the numbers.

The code is made with llvmlite, which numba brings along (`pip install fedgdl[fast]`), when a process first needs it.

Not here: numbers themselves, and which may be given: others use `lanes`.

Example:
    >>> kernels = load_kernels()
    >>> kernels is None or callable(kernels.powers)  # none where the processor lacks the instructions
    True

Source:
    Montgomery, "Modular Multiplication without Trial Division", Mathematics of Computation 44, 1985.
    Walter, "Montgomery Exponentiation Needs No Final Subtractions", Electronics Letters 35, 1999.
    Gueron, Krasnov, "Accelerating Big Integer Arithmetic Using Intel IFMA Extensions", ARITH 2016: the instructions'
    use, there for one number that lies across the lanes.
"""

import ctypes
import functools
import importlib
import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from fedgdl.crypto.paillier.lane_code import LANES, LIMB_BITS, LaneFunction, Value

__all__ = ["BLOCK", "WINDOW_BITS", "Kernels", "load_kernels"]

BLOCK: Final = 4
"""Limbs are taken four at a time: numbers of limbs are multiples of it."""
WINDOW_BITS: Final = 5
"""The exponent's bits that `powers` takes at a time."""

_logger = logging.getLogger(__name__)

_Kernel: TypeAlias = Callable[..., None]


class Kernels(NamedTuple):
    """Compiled functions on arrays in memory: what they are given is not checked again, and has to be right.

    Arrays are of uint64 if not said otherwise, and C-contiguous. L is the number of limbs of the modulus, R is
    2^(52 L), G the number of groups. `modulus` is (L,), `inverse` is -1 / modulus modulo 2^52; what is in `scratch`
    does not matter. They run without the interpreter's lock.

    Attributes:
        powers: (out, x, square, one, digits, num_digits, modulus, inverse, scratch, L, G): out is x to the power whose
            digits (uint8, base 2^5, the highest first) are given, both (G, L, 8); `square` (L, 8) is R^2 modulo the
            modulus in all lanes, `one` (L, 8) is 1. Scratch (34 L + 4, 8).
        choices: (out, sums, table, digits, start, modulus, inverse, scratch, L, K, num_rows, num_entries, G): out
            (G, L, 8) is for each lane the product of `start` (L, 8) and of the first half of one entry from each row,
            divided by 2^(52 K) for each of them; sums (G, K, 8) is the sum of the second halves. The table is
            (num_rows, num_entries, 2, K), the digits are uint16 (8 G, num_rows). Scratch (L + 4 + K, 8).
        code: what keeps them in memory.
    """

    powers: _Kernel
    choices: _Kernel
    code: object


@functools.cache
def load_kernels() -> Kernels | None:
    """Returns the functions, compiled at the first call; none without llvmlite or the processor's instructions.

    Where both are there and something else is wrong, a warning is logged: without the functions all goes on, slower.
    """
    try:
        ir, binding = importlib.import_module("llvmlite.ir"), importlib.import_module("llvmlite.binding")
        features = binding.get_host_cpu_features()
    except (ImportError, OSError, RuntimeError):  # not installed, or not whole; it knows no such processor
        return None
    if not features.get("avx512ifma"):
        return None
    try:
        return _compile(ir, binding, features.flatten())
    except Exception as error:  # noqa: BLE001 - whatever a version of llvmlite, or a system, does not do: gmpy2 does
        _logger.warning("arithmetic in lanes is left out, as it cannot be compiled here: %r", error)
        return None


def _compile(ir: ModuleType, binding: ModuleType, features: str) -> Kernels:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3
    )
    program = binding.parse_assembly(_write_program(ir))
    program.verify()
    code = binding.create_mcjit_compiler(program, machine)
    code.finalize_object()
    words, digits, indices = (
        np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS") for dtype in (np.uint64, np.uint8, np.uint16)
    )
    word = ctypes.c_uint64

    def function(name: str, *parameters: type) -> _Kernel:
        compiled = ctypes.CFUNCTYPE(None)(code.get_function_address(name))
        compiled.argtypes = parameters
        return compiled

    return Kernels(
        function("powers", words, words, words, words, digits, word, words, word, words, word, word),
        function("choices", words, words, words, indices, words, words, word, words, word, word, word, word, word),
        code,
    )


def _write_program(ir: ModuleType) -> str:
    module = ir.Module("lanes")
    multiply = _write_product(LaneFunction(ir, module, "multiply", "vvvwnvnn"), squares=False)
    square = _write_product(LaneFunction(ir, module, "square", "vvwnvn"), squares=True)
    _write_powers(LaneFunction(ir, module, "powers", "vvvvbnwnvnn"), multiply, square)
    _write_choices(LaneFunction(ir, module, "choices", "vvwivwnvnnnnn"), multiply)
    return str(module)


def _write_product(code: LaneFunction, *, squares: bool) -> Value:
    """Writes x y / 2^(52 K) modulo m for one group, where y has K limbs, or x x / 2^(52 L), and returns the function.

    As 4 m is at most 2^(52 L), and y at most half of 2^(52 K), numbers below 2 m have products below 2 m. No sum
    overflows: a place gets at most 24 halves from each block, so 6 L in all, fewer than 2^12 up to 35,000 bits.
    """
    code.function.linkage = "internal"
    if squares:
        out, x, modulus, inverse, sums, size = code.arguments
        y, y_size = x, size
    else:
        out, x, y, modulus, inverse, sums, size, y_size = code.arguments
    build, zero = code.build, code.number(0)
    inverses = code.in_all_lanes(inverse)
    code.repeat(zero, build.add(size, code.number(BLOCK)), lambda index: code.store(code.zero, sums, index))

    def add_block(place: Value) -> None:
        factors = [code.load(y, build.add(place, code.number(k))) for k in range(BLOCK)]
        if squares:
            for k in range(BLOCK):
                code.store(code.zero, sums, build.add(size, code.number(k)))
            _add_square(code, code.at(sums, place), factors)
            _add_multiples(code, sums, x, factors, build.add(place, code.number(BLOCK)), size, twice=True)
        else:
            _add_multiples(code, sums, x, factors, zero, size, twice=False)
        _reduce(code, sums, modulus, inverses, size)

    code.repeat(zero, y_size, add_block, step=BLOCK)
    _carry(code, sums, out, size)
    build.ret_void()
    return code.function


def _add_multiples(
    code: LaneFunction, sums: Value, x: Value, factors: Sequence[Value], start: Value, size: Value, *, twice: bool
) -> None:
    """Adds the products of the limbs of x from `start` on and the factors once or twice.

    The four places above x are written to, and not read unless twice.
    """
    build = code.build

    def add(limbs: Sequence[Value], place: Value, *, is_above: bool) -> None:
        if twice:
            total = code.add_column(code.zero, limbs, factors)
            total = build.add(code.load(sums, place), build.add(total, total))
        else:
            total = code.add_column(code.zero if is_above else code.load(sums, place), limbs, factors)
        code.store(total, sums, place)

    def add_at(place: Value, *below: Value) -> list[Value]:
        limbs = [code.load(x, place), *below]
        add(limbs, place, is_above=False)
        return limbs[:BLOCK]

    highest = code.repeat(start, size, add_at, [code.zero] * BLOCK)
    for k in range(BLOCK):
        add([*[None] * (k + 1), *highest], build.add(size, code.number(k)), is_above=True)


def _add_square(code: LaneFunction, sums: Value, limbs: Sequence[Value]) -> None:
    """Adds the square of four limbs."""
    build = code.build
    for place in range(2 * BLOCK):
        total = code.zero
        for half, lower_place in (("l", place), ("h", place - 1)):
            for k in range(BLOCK):
                if k < lower_place - k < BLOCK:
                    total = code.add_half(half, total, limbs[k], limbs[lower_place - k])
        total = build.add(total, total)
        total = code.add_half("lh"[place % 2], total, limbs[place // 2], limbs[place // 2])
        code.store(build.add(total, code.load(sums, code.number(place))), sums, code.number(place))


def _reduce(code: LaneFunction, sums: Value, modulus: Value, inverses: Value, size: Value) -> None:
    """Adds as many multiples of the modulus as make the four lowest limbs 0, and moves the others down by four."""
    build = code.build
    lowest = [code.in_all_lanes(code.load(modulus, code.number(k))) for k in range(BLOCK)]
    multiples: list[Value] = []
    carry = code.zero
    for place in range(BLOCK):
        limbs = [*reversed(lowest[: place + 1]), *[None] * BLOCK]
        total = build.add(code.add_column(code.load(sums, code.number(place)), limbs, multiples), carry)
        multiples.append(code.add_half("l", code.zero, total, inverses))
        carry = build.lshr(code.add_half("l", total, lowest[0], multiples[-1]), code.vector_of(LIMB_BITS))
    code.store(build.add(code.load(sums, code.number(BLOCK)), carry), sums, code.number(BLOCK))

    def add_at(place: Value, *below: Value) -> list[Value]:
        limbs = [code.in_all_lanes(code.load(modulus, place)), *below]
        total = code.add_column(code.load(sums, place), limbs, multiples)
        code.store(total, sums, build.sub(place, code.number(BLOCK)))
        return limbs[:BLOCK]

    highest = code.repeat(code.number(BLOCK), size, add_at, [*reversed(lowest)])
    for k in range(BLOCK):
        place = build.add(size, code.number(k))
        total = code.add_column(code.load(sums, place), [*[None] * (k + 1), *highest], multiples)
        code.store(total, sums, build.sub(place, code.number(BLOCK)))


def _carry(code: LaneFunction, sums: Value, out: Value, size: Value) -> None:
    """Makes limbs of 52 bits of sums; what the highest has too much is 0."""
    build = code.build

    def carry_at(place: Value, carry: Value) -> list[Value]:
        total = build.add(code.load(sums, place), carry)
        code.store(build.and_(total, code.vector_of(2**LIMB_BITS - 1)), out, place)
        return [build.lshr(total, code.vector_of(LIMB_BITS))]

    code.repeat(code.number(0), size, carry_at, [code.zero])


def _write_powers(code: LaneFunction, multiply: Value, square: Value) -> None:
    """Writes powers from the left, with a table of 2^5 powers; every digit costs the same, 0 included.

    Source: Menezes, van Oorschot, Vanstone, "Handbook of Applied Cryptography", 1996, algorithm 14.82.
    """
    out, x, radix_square, one, digits, num_digits, modulus, inverse, scratch, size, num_groups = code.arguments
    build, zero = code.build, code.number(0)
    chosen = code.at(scratch, build.add(size, code.number(BLOCK)))
    table = code.at(chosen, size)
    second = code.at(table, size)

    def form(product: Value, left: Value, right: Value) -> None:
        build.call(multiply, [product, left, right, modulus, inverse, scratch, size, size])

    def fill(entry: Value) -> None:
        entry_below = code.at(table, build.mul(build.sub(entry, code.number(1)), size))
        form(code.at(entry_below, size), entry_below, second)

    def raise_group(group: Value) -> None:
        first = build.mul(group, size)
        base, power = code.at(x, first), code.at(out, first)

        def square_once(_: Value) -> None:
            build.call(square, [power, power, modulus, inverse, scratch, size])

        def take_digit(place: Value) -> None:
            code.repeat(zero, code.number(WINDOW_BITS), square_once)
            _choose(code, table, build.zext(code.load(digits, place), code.word), chosen, size)
            form(power, power, chosen)

        # Montgomery's form of x is x R: the product with R^2 makes it, that with 1 undoes it.
        form(table, one, radix_square)
        form(second, base, radix_square)
        code.repeat(code.number(2), code.number(2**WINDOW_BITS), fill)
        code.copy(table, power, size)
        code.repeat(zero, num_digits, take_digit)
        form(power, power, one)

    code.repeat(zero, num_groups, raise_group)
    build.ret_void()


def _choose(code: LaneFunction, table: Value, digit: Value, chosen: Value, size: Value) -> None:
    """Copies an entry of a table (2^5, L, 8), reading all of them, so that no address tells which."""
    build = code.build

    def choose_limbs(place: Value) -> None:
        places = [build.add(place, code.number(k)) for k in range(BLOCK)]

        def add_entry(entry: Value, *limbs: Value) -> list[Value]:
            mask = code.in_all_lanes(build.sext(build.icmp_unsigned("==", entry, digit), code.word))
            row = code.at(table, build.mul(entry, size))
            loaded = [code.load(row, index) for index in places]
            return [build.or_(limb, build.and_(mask, other)) for limb, other in zip(limbs, loaded, strict=True)]

        limbs = code.repeat(code.number(0), code.number(2**WINDOW_BITS), add_entry, [code.zero] * BLOCK)
        for limb, index in zip(limbs, places, strict=True):
            code.store(limb, chosen, index)

    code.repeat(code.number(0), size, choose_limbs, step=BLOCK)


def _write_choices(code: LaneFunction, multiply: Value) -> None:
    """Writes products of table entries that each lane chooses for itself; their addresses tell which."""
    (out, sums, table, digits, start, modulus, inverse, scratch, *sizes) = code.arguments
    size, entry_size, num_rows, num_entries, num_groups = sizes
    build, zero, lanes = code.build, code.number(0), code.number(LANES)
    factor = code.at(scratch, build.add(size, code.number(BLOCK)))

    def form(group: Value) -> None:
        product = code.at(out, build.mul(group, size))
        total = code.at(sums, build.mul(group, entry_size))

        def take_row(row: Value) -> None:
            def gather(lane: Value) -> None:
                index = build.add(build.mul(build.add(build.mul(group, lanes), lane), num_rows), row)
                digit = build.zext(code.load(digits, index), code.word)
                entry = build.mul(build.add(build.mul(row, num_entries), digit), entry_size)
                first = code.at(table, build.shl(entry, code.number(1)))
                second = code.at(first, entry_size)
                factor_lane, total_lane = code.at(code.words(factor), lane), code.at(code.words(total), lane)

                def take_limb(place: Value) -> None:
                    there = build.mul(place, lanes)
                    code.store(code.load(first, place), factor_lane, there)
                    added = build.add(code.load(total_lane, there), code.load(second, place))
                    code.store(added, total_lane, there)

                code.repeat(zero, entry_size, take_limb)

            code.repeat(zero, lanes, gather)
            build.call(multiply, [product, product, factor, modulus, inverse, scratch, size, entry_size])

        code.copy(start, product, size)
        code.repeat(zero, entry_size, lambda place: code.store(code.zero, total, place))
        code.repeat(zero, num_rows, take_row)
        _carry(code, total, total, entry_size)

    code.repeat(zero, num_groups, form)
    build.ret_void()
