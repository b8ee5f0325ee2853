"""What holds for every task of the library, on tiny generated data."""

import math

import msgspec
import numpy as np
import pytest
from tiny_task import TINY, parts, zero_loss

from fedgdl.config import Experiment, ModelConfig
from fedgdl.data import ArrayExamples
from fedgdl.errors import ConfigError
from fedgdl.federated.task import TASKS
from fedgdl.federated.tasks.kinds import check_sizes
from fedgdl.seeding import stream

EACH = pytest.mark.parametrize("name", sorted(TASKS))
KINDS = {
    "characters": "texts in order, in characters",
    "digits": "images of 28 x 28 pixels",
    "digits-cnn": "images of 28 x 28 pixels",
    "next-word": "texts in order, in words",
    "sentiment": "bags of words",
    "spam": "bags of words",
}
SOURCES = {
    "images of 28 x 28 pixels": "synthetic-digits",
    "bags of words": "synthetic-mail",
    "texts in order, in characters": "synthetic-verse",
    "texts in order, in words": "synthetic-stories",
}


def with_source(experiment: Experiment, source: str) -> Experiment:
    return msgspec.structs.replace(experiment, data=msgspec.structs.replace(experiment.data, source=source))


def with_model(experiment: Experiment, **sizes: object) -> Experiment:
    return msgspec.structs.replace(experiment, model=ModelConfig(**sizes))  # type: ignore[arg-type]


def test_there_is_a_tiny_experiment_of_each() -> None:
    assert TINY.keys() == TASKS.keys() == KINDS.keys()


@EACH
def test_predictions_have_an_example_a_row_and_the_experiments_dtype(name: str) -> None:
    for dtype in ("float32", "float64"):
        task, data, model = parts(msgspec.structs.replace(TINY[name], dtype=dtype))
        batch = data.test.take(np.array([3, 1, 2]))
        prediction = task.predict(model.eval(), batch)
        assert len(prediction.data) == 3
        assert prediction.data.dtype == dtype
        assert model.flatten().vector.dtype == dtype
        assert task.loss(prediction, batch).shape == ()
        assert 0 <= task.count_correct(prediction.data, batch) <= task.count_targets(batch)


@EACH
def test_a_model_of_zeros_knows_nothing(name: str) -> None:
    """Each class is equally likely then: ln(classes) a target; spam's squared error of 1/2 costs 1/4."""
    _, data, _ = parts(TINY[name])
    classes = data.num_words if KINDS[name].startswith("texts in order") else data.num_classes
    assert classes == {"bags of words": 2, "images of 28 x 28 pixels": 10}.get(KINDS[name], classes) > 1
    loss, num_targets = zero_loss(TINY[name])
    assert loss == pytest.approx(0.25 if name == "spam" else math.log(classes), rel=1e-5)
    labels = data.test.labels
    assert num_targets == np.count_nonzero(labels >= 0)
    assert (num_targets > len(labels)) == KINDS[name].startswith("texts in order")


@EACH
def test_the_model_follows_from_the_stream_alone(name: str) -> None:
    task, data, _ = parts(TINY[name])
    first, again, other = (
        task.build_model(data, TINY[name], stream(seed, "initialise")).flatten().vector for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (name == "spam")  # which starts at zero


@EACH
@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_data_of_another_kind_is_refused_by_name(name: str, kind: str) -> None:
    experiment = with_source(TINY[name], SOURCES[kind])
    if kind == KINDS[name]:
        parts(experiment)
        return
    with pytest.raises(ConfigError) as caught:
        parts(experiment)
    told = f'task = "{name}" learns from {KINDS[name]}, but data.source = "{SOURCES[kind]}" has {kind}; for those take'
    assert str(caught.value).startswith(told)
    fitting = [other for other, its_kind in KINDS.items() if its_kind == kind]
    assert all(f'task = "{other}"' in str(caught.value).partition(";")[2] for other in fitting)


SIZES = {"hidden": (3, 4), "embedding_size": 2, "dropout": 0.5}
TAKEN = {
    "characters": {"hidden", "embedding_size", "dropout"},
    "digits": {"hidden", "dropout"},
    "digits-cnn": {"hidden", "dropout"},
    "next-word": {"hidden", "embedding_size", "dropout"},
    "sentiment": {"embedding_size", "dropout"},
    "spam": set(),
}


@EACH
@pytest.mark.parametrize("key", sorted(SIZES))
def test_a_size_that_the_model_has_not_is_refused_and_the_others_count(name: str, key: str) -> None:
    value = (5,) if (name, key) == ("next-word", "hidden") else SIZES[key]
    experiment = with_model(TINY[name], **{key: value})
    if key not in TAKEN[name]:
        with pytest.raises(ConfigError, match=f'task = "{name}" has no model.{key}: leave it out'):
            parts(experiment)
        return
    plain, changed = parts(with_model(TINY[name]))[2], parts(experiment)[2]
    if key == "dropout":
        assert any(module.draws and getattr(module, "p", 0) == 0.5 for module in changed.modules())
    else:
        assert plain.flatten().layout != changed.flatten().layout


def test_every_size_of_the_schema_is_known_here() -> None:
    assert set(ModelConfig.__struct_fields__) == SIZES.keys()
    assert check_sizes(with_model(TINY["spam"])) == ModelConfig()


@pytest.mark.parametrize(
    ("name", "hidden", "what"),
    [
        ("digits-cnn", (), r'task = "digits-cnn" needs at least two sizes in model\.hidden.*got \[\]'),
        ("digits-cnn", (7,), r"got \[7\]"),
        ("characters", (), r"at least one LSTM layer in model\.hidden, got \[\]"),
        ("next-word", (7, 8), r'task = "next-word" has one recurrent layer: model\.hidden = \[64\], got \[7, 8\]'),
        ("next-word", (), r"got \[\]"),
    ],
)
def test_too_few_or_too_many_layers_are_refused(name: str, hidden: tuple[int, ...], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        parts(with_model(TINY[name], hidden=hidden))


def test_padding_is_counted_nowhere() -> None:
    task, data, model = parts(TINY["next-word"])
    model.eval()
    batch = data.test.slice(0, 8)
    labels = batch.labels.copy()
    labels[:, 4:] = -1
    cut = ArrayExamples(batch.inputs, labels)
    prediction = task.predict(model, cut)
    by_hand, correct = 0.0, 0
    for scores, label in zip(prediction.data[:, :4].reshape(32, -1), labels[:, :4].reshape(32), strict=True):
        if label >= 0:
            by_hand += float(np.log(np.exp(scores.astype("float64") - scores[label]).sum()))
            correct += int(scores.argmax() == label)
    assert float(task.loss(prediction, cut).data) == pytest.approx(by_hand, rel=1e-5)
    assert task.count_correct(prediction.data, cut) == correct
    assert task.count_targets(cut) == np.count_nonzero(labels >= 0) <= 32


def test_grey_levels_are_shares_of_255() -> None:
    task, _, model = parts(TINY["digits"])
    images = np.random.default_rng(1).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    scores = task.predict(model.eval(), ArrayExamples(images, np.zeros(4, np.int64)))
    np.testing.assert_array_equal(scores.data, model(images.astype("float32") / np.float32(255)).data)
