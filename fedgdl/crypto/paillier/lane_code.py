"""Machine code for vectors of eight words, written one instruction after the other.

A `LaneFunction` is a function in LLVM's intermediate language that grows at its end, by llvmlite's builder; here are
the few steps that arithmetic in lanes is made of. VPMADD52LUQ and VPMADD52HUQ multiply eight pairs of limbs of 52 bits
and add the lower or upper halves of the products to eight words: neither Python nor NumPy has a name for them.

Not here: what is computed (`lane_kernels`).

Example:
    >>> LANES * LIMB_BITS // 8  # bytes of eight numbers in one vector
    52

Source:
    Intel, "64 and IA-32 Architectures Software Developer's Manual", volume 2: VPMADD52LUQ, VPMADD52HUQ.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final, TypeAlias

__all__ = ["LANES", "LIMB_BITS", "LaneFunction", "Value"]

LIMB_BITS: Final = 52
LANES: Final = 8

Value: TypeAlias = Any
"""A number, vector or address of the function being written: `llvmlite.ir.Value`, which ships no types."""


class LaneFunction:
    """A function of a program, to whose end instructions are added.

    Args:
        ir: `llvmlite.ir`.
        module: the program, `llvmlite.ir.Module`.
        name: of the function.
        parameters: a letter for each: v points to vectors, w to words, i to uint16, b to bytes; n is a number.

    Attributes:
        build: llvmlite's builder.
        function: as others call it.
        arguments: what it is called with.
        word: the type of words.
        zero: a vector of 0.
    """

    def __init__(self, ir: ModuleType, module: Value, name: str, parameters: str) -> None:
        self._ir, self._module = ir, module
        self.word = ir.IntType(64)
        self._vector = ir.VectorType(self.word, LANES)
        kinds = {
            "v": self._vector.as_pointer(),
            "w": self.word.as_pointer(),
            "i": ir.IntType(16).as_pointer(),
            "b": ir.IntType(8).as_pointer(),
            "n": self.word,
        }
        signature = ir.FunctionType(ir.VoidType(), [kinds[letter] for letter in parameters])
        self.function = ir.Function(module, signature, name)
        self.arguments: Sequence[Value] = self.function.args
        self.build = ir.IRBuilder(self.function.append_basic_block())
        self.zero = self.vector_of(0)

    def number(self, value: int) -> Value:
        """Returns a constant word."""
        return self._ir.Constant(self.word, value)

    def vector_of(self, value: int) -> Value:
        """Returns a constant word in all lanes."""
        return self._ir.Constant(self._vector, [value] * LANES)

    def in_all_lanes(self, word: Value) -> Value:
        """Returns a vector of a word."""
        index = self._ir.IntType(32)
        undefined = self._ir.Constant(self._vector, self._ir.Undefined)
        single = self.build.insert_element(undefined, word, index(0))
        all_first = self._ir.Constant(self._ir.VectorType(index, LANES), [0] * LANES)
        return self.build.shuffle_vector(single, undefined, all_first)

    def at(self, address: Value, index: Value) -> Value:
        """Returns the address of an element after another."""
        return self.build.gep(address, [index])

    def words(self, address: Value) -> Value:
        """Returns the address of a vector's words."""
        return self.build.bitcast(address, self.word.as_pointer())

    def load(self, address: Value, index: Value) -> Value:
        """Reads an element."""
        loaded = self.build.load(self.at(address, index))
        if loaded.type == self._vector:
            loaded.align = 8  # NumPy's arrays begin anywhere
        return loaded

    def store(self, value: Value, address: Value, index: Value) -> None:
        """Writes an element, a word or a vector."""
        self.build.store(value, self.at(address, index)).align = 8

    def copy(self, source: Value, target: Value, count: Value) -> None:
        """Copies elements."""
        self.repeat(self.number(0), count, lambda index: self.store(self.load(source, index), target, index))

    def add_half(self, half: str, total: Value, x: Value, y: Value) -> Value:
        """Adds the lower ("l") or upper ("h") 52 bits of the products of the lowest 52 bits."""
        name = f"llvm.x86.avx512.vpmadd52{half}.uq.512"
        instruction = self._module.globals.get(name) or self._ir.Function(
            self._module, self._ir.FunctionType(self._vector, [self._vector] * 3), name
        )
        return self.build.call(instruction, [total, x, y])

    def add_column(self, total: Value, limbs: Sequence[Value], factors: Sequence[Value]) -> Value:
        """Adds what one place gets of a product: the lower halves of limbs[k] factors[k], the upper of limbs[k + 1].

        Args:
            total: a vector.
            limbs: those at the place and below it, downwards, one more than factors; none where there is no limb.
            factors: limbs from the lowest upwards.
        """
        for k, factor in enumerate(factors):
            for half, limb in (("l", limbs[k]), ("h", limbs[k + 1])):
                if limb is not None:
                    total = self.add_half(half, total, limb, factor)
        return total

    def repeat(
        self,
        start: Value,
        end: Value,
        body: Callable[..., Sequence[Value] | None],
        carried: Sequence[Value] = (),
        step: int = 1,
    ) -> list[Value]:
        """Writes a loop over start, start + step, ... below end, and returns the carried values after it.

        `body` is called once, with the index and the carried values; it writes what is done, and returns them anew.
        """
        build = self.build
        before = build.block
        head, inside, after = (build.append_basic_block() for _ in range(3))
        build.branch(head)
        build.position_at_end(head)
        variables = [build.phi(value.type) for value in (start, *carried)]
        build.cbranch(build.icmp_unsigned("<", variables[0], end), inside, after)
        build.position_at_end(inside)
        carried_on = body(*variables) or ()
        following = [build.add(variables[0], self.number(step)), *carried_on]
        for variable, first, later in zip(variables, (start, *carried), following, strict=True):
            variable.add_incoming(first, before)
            variable.add_incoming(later, build.block)
        build.branch(head)
        build.position_at_end(after)
        return variables[1:]
