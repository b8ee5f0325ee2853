"""Long graphs and thousands of steps leave no memory behind."""

import gc
import json
import subprocess
import sys
import tracemalloc

import pytest
from tensors import leaf


def test_a_graph_of_two_thousand_steps_neither_recurses_nor_stays() -> None:
    x, weight = leaf(4), leaf(4)

    def run() -> None:
        y = x
        for _ in range(2_000):
            y = (weight * y).tanh()
        y.sum().backward()
        x.grad = weight.grad = None

    run()
    depth, frame = 0, sys._getframe()
    while (frame := frame.f_back) is not None:
        depth += 1
    limit = sys.getrecursionlimit()
    # Python keeps some freed objects for reuse until a full collection: now, and then none before the end.
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        sys.setrecursionlimit(depth + 60)  # a hundredth of what a recursion over 4,000 results would take
        run()
        before, _ = tracemalloc.get_traced_memory()
        run()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        sys.setrecursionlimit(limit)
        tracemalloc.stop()
        gc.enable()
    assert peak - before > 4_000 * 4 * 8  # the results of the whole graph were there at once
    assert after - before < 4_000  # and not one byte of each is left


# The programs below train in a process of their own, without a garbage collector, and print by how many bytes
# the process (RSS) and Python's allocations (tracemalloc) have grown over the steps after a warm-up.
MEASURED = """
import gc, json, sys, tracemalloc
import numpy as np, psutil
gc.disable()

def growth(step, warm_up, steps):
    process = psutil.Process()
    for _ in range(warm_up):
        step()
    before = process.memory_info().rss
    for _ in range(steps):
        step()
    resident = process.memory_info().rss - before
    tracemalloc.start()
    for _ in range(warm_up):
        step()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(steps):
        step()
    after, _ = tracemalloc.get_traced_memory()
    print(json.dumps([resident, after - before]))
"""
MLP = """
from fedgdl.autograd import GradientVector, Parameter, linear, softmax_cross_entropy
from fedgdl.autograd.blas import axpy
from fedgdl.parameters import Layout, Parameters

rng = np.random.default_rng(1)
layout = Layout.of({"a": (10, 16), "b": (16,), "c": (16, 4), "d": (4,)})
parameters, gradients, model = Parameters(layout), GradientVector(layout), []
for name, shape in layout.entries:
    one = Parameter(rng.normal(size=shape).astype("float32") * 0.3)
    one.bind(name, parameters, gradients)
    model.append(one)
a, b, c, d = model
x, ids = rng.normal(size=(8, 10)).astype("float32"), rng.integers(0, 4, 8)

def step():
    loss = softmax_cross_entropy(linear(linear(x, a, b, "tanh"), c, d), ids)
    loss.backward()
    axpy(-0.1, gradients.vector, parameters.vector)
    for one in model:
        one.grad = None

growth(step, 1_000, 10_000)
"""
CNN = """
from fedgdl.autograd import Parameter, conv2d, linear, max_pool2d, softmax_cross_entropy

rng = np.random.default_rng(1)
shapes = [(3, 3, 1, 8), (8,), (3, 3, 8, 8), (8,), (3 * 3 * 8, 4), (4,)]
model = [Parameter(rng.normal(size=shape).astype("float32") * 0.3) for shape in shapes]
x, ids = rng.normal(size=(16, 12, 12, 1)).astype("float32"), rng.integers(0, 4, 16)

def step():
    hidden = max_pool2d(conv2d(x, *model[:2], padding=1, activation="relu"), 2)
    hidden = max_pool2d(conv2d(hidden, *model[2:4], padding=1, activation="tanh"), 2)
    softmax_cross_entropy(linear(hidden.reshape(16, -1), *model[4:]), ids).backward()
    for one in model:
        one.data -= 0.01 * one.grad
        one.grad = None

growth(step, 50, 300)
"""


LAYERS = """
from fedgdl import nn, optim

rng = np.random.default_rng(1)
model = nn.Sequential(nn.Linear(10, 16, rng=rng), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 4, rng=rng)).train(rng)
model.flatten()
loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), 0.01)
x, ids = rng.normal(size=(8, 10)).astype("float32"), rng.integers(0, 4, 8)

def step():
    loss(model(x), ids).backward()
    optimizer.step()

growth(step, 200, 2_000)
"""
STACK = """
from fedgdl import nn, optim

class Reader(nn.Module):
    def __init__(self, rng):
        self.words, self.out = nn.Embedding(30, 5, rng=rng), nn.Linear(5, 4, rng=rng)

    def forward(self, ids):
        return self.out(self.words(ids).tanh())

rng = np.random.default_rng(1)
model, loss = Reader(rng).stack(3), nn.CrossEntropyLoss().stack(3)
optimizer = optim.SGD(model.parameters(), 0.1, momentum=0.9)
words, ids = rng.integers(0, 30, (3, 8)), rng.integers(0, 4, (3, 8))

def step():
    loss(model(words), ids).backward(1.0)
    optim.clip_grad_norm(model.parameters(), 0.5)
    optimizer.step()

growth(step, 200, 2_000)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "steps"),
    [(MLP, 10_000), (CNN, 300), (LAYERS, 2_000), (STACK, 2_000)],
    ids=["MLP", "CNN", "layers and Adam", "stack, clipping and momentum"],
)
def test_thousands_of_steps_leave_no_memory_behind(program: str, steps: int) -> None:
    done = subprocess.run([sys.executable, "-P", "-c", MEASURED + program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    resident, allocated = json.loads(done.stdout)
    # The smallest object of Python's takes 16 bytes: half of that a step is less than one left behind by each; the
    # kilobytes are for caches that happen to fill (numbers, frames). A tensor with its closure takes some 500 bytes.
    assert allocated < 8 * steps + 4096
    # Pages come and go by themselves: 1 MiB is a hundred bytes a step of the one and half an activation of the other.
    assert resident < 1 << 20
