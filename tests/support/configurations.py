"""Hypothesis strategies for configurations: every experiment they draw is one that fedgdl accepts."""

from fractions import Fraction

from hypothesis import strategies as st

from fedgdl.config import (
    AggregationConfig,
    DataConfig,
    EngineConfig,
    Experiment,
    FaultConfig,
    FaultsConfig,
    ModelConfig,
    PartitionConfig,
    StrategyConfig,
    TrainingConfig,
)

COUNTS = st.integers(1, 2**31 - 1)
NAMES = st.text(st.sampled_from("abcXYZ019_.@:+-éß語"), min_size=1, max_size=200)
MILLION = 1_000_000


def training_configs() -> st.SearchStrategy[TrainingConfig]:
    """Draws every kind of valid training plan."""
    return st.builds(
        TrainingConfig,
        learning_rate=st.floats(0, MILLION, exclude_min=True),
        epochs=COUNTS,
        batch_size=COUNTS,
        loss_reduction=st.sampled_from(["mean", "sum"]),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
        learning_rate_decay=st.floats(0, 1, exclude_min=True),
        momentum=st.floats(0, 1, exclude_max=True),
        weight_decay=st.floats(0, MILLION),
        clip_grad_norm=st.none() | st.floats(0, 1_000_000_000, exclude_min=True),
    )


def model_configs() -> st.SearchStrategy[ModelConfig]:
    """Draws every kind of valid model sizes."""
    return st.builds(
        ModelConfig,
        hidden=st.none() | st.lists(COUNTS, max_size=4).map(tuple),
        embedding_size=st.none() | COUNTS,
        dropout=st.floats(0, 1, exclude_max=True),
    )


def partitions() -> st.SearchStrategy[PartitionConfig]:
    """Draws partitions of all kinds."""
    names = st.lists(NAMES, min_size=1, max_size=6, unique=True)
    return st.one_of(
        st.just(PartitionConfig()),
        st.builds(PartitionConfig, st.just("iid"), COUNTS | names.map(tuple)),
        names.flatmap(_shares_of),
    )


def _shares_of(names: list[str]) -> st.SearchStrategy[PartitionConfig]:
    weights = st.lists(st.integers(1, 1_000), min_size=len(names), max_size=len(names))
    return weights.map(
        lambda drawn: PartitionConfig(
            "shares", tuple(names), tuple(float(Fraction(weight, sum(drawn))) for weight in drawn)
        )
    )


@st.composite
def aggregations(draw: st.DrawFn, weighting: str, cohort_size: int | None) -> AggregationConfig:
    """Draws ways to aggregate a cohort of a known size, if it is known, with clients weighted as stated."""
    can_be_private = cohort_size is None or cohort_size >= 2
    kind = draw(st.sampled_from(["plain", "secagg", "paillier"] if can_be_private else ["plain"]))
    key_holder = draw(st.sampled_from(["process", "clients", "threshold", "coordinator"]))
    thresholds = st.none() | st.integers(2, min(max(2, cohort_size or 10_000), 10_000))
    insecure_key_bits = draw(st.none() | st.integers(64, 1023).map(lambda half: 2 * half))
    key_bits = st.integers(1024, 4096).map(lambda half: 2 * half)
    return AggregationConfig(
        kind=kind,
        exact=draw(st.booleans()),
        clip=draw(st.floats(0, MILLION, exclude_min=True)),
        bits=draw(st.integers(2, 32)),
        rounding=draw(st.sampled_from(["nearest", "stochastic"])),
        ring_bits=draw(st.sampled_from([32, 64])),
        max_weight=draw(st.none() | (COUNTS if weighting == "num_examples" else st.just(1))),
        min_cohort=draw(st.integers(2, max(2, cohort_size or 2**31 - 1))),
        corrupt_share=draw(st.floats(0, 1, exclude_max=True)),
        dropout_share=draw(st.floats(0, 1, exclude_max=True)),
        privacy_bits=draw(st.integers(1, 128)),
        liveness_bits=draw(st.integers(1, 128)),
        consistency=draw(st.booleans()),
        max_attempts=1 if kind == "paillier" else draw(st.integers(1, 100)),
        key_bits=draw(key_bits if insecure_key_bits is None else st.just(3072)),
        insecure_key_bits=insecure_key_bits,
        key_holder=key_holder,
        insecure=key_holder == "coordinator" or draw(st.booleans()),
        sum_check=draw(st.sampled_from(["signed", "trusted"])),
        threshold=draw(thresholds) if key_holder == "threshold" else None,
        obfuscator_pool=draw(st.sampled_from(["none", "background", "beforehand"])),
        key_file=None if key_holder == "threshold" else draw(st.none() | st.text(max_size=30)),
    )


@st.composite
def engines_and_faults(draw: st.DrawFn, num_rounds: int) -> tuple[EngineConfig, FaultsConfig]:
    """Draws an engine with faults that it can take, in the rounds that there are."""
    seconds = st.floats(0, MILLION, exclude_min=True)
    engine = EngineConfig(
        draw(st.sampled_from(["processes", "inline"])),
        draw(st.none() | st.integers(1, 1024)),
        draw(st.none() | seconds),
    )
    kinds = ["nan", "infinity", "raise", "corrupt"]
    if engine.kind == "processes":
        kinds += ["kill"] if engine.round_deadline_seconds is None else ["kill", "stall"]
    moments = st.sampled_from(["before_training", "after_training", "after_sending"])
    events = []
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=3)):
        moment = draw(moments) if kind == "kill" else "before_training"
        events.append(draw(st.builds(FaultConfig, st.just(kind), NAMES, st.integers(1, num_rounds), st.just(moment))))
    return engine, FaultsConfig(tuple(events))


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """Draws complete experiments, their values spread over all that is allowed."""
    num_rounds = draw(COUNTS)
    engine, faults = draw(engines_and_faults(num_rounds))
    partition = draw(partitions())
    cohort_size = draw(st.none() | COUNTS)
    clients = len(partition.clients) if isinstance(partition.clients, tuple) else partition.clients
    most_updates = min(size for size in (cohort_size, clients, 2**31 - 1) if size is not None)
    known_size = None if cohort_size is None and clients is None else most_updates
    weighting = draw(st.sampled_from(["num_examples", "equal"]))
    return Experiment(
        name=draw(NAMES),
        task=draw(NAMES),
        data=DataConfig(
            source=draw(NAMES),
            fallback=draw(st.none() | NAMES),
            root=draw(st.none() | st.text(max_size=30)),
            partition=partition,
            test_fraction=draw(st.floats(0, 1, exclude_min=True, exclude_max=True)),
            min_count=draw(COUNTS),
            max_tokens=draw(st.none() | COUNTS),
            examples=draw(st.integers(10, MILLION)),
        ),
        training=draw(training_configs()),
        model=draw(model_configs()),
        rounds=num_rounds,
        until_accuracy=draw(st.none() | st.floats(0, 1, exclude_min=True)),
        evaluate_every=draw(COUNTS),
        seed=draw(st.integers(0, 2**63 - 1)),
        cohort_size=cohort_size,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        strategy=StrategyConfig(
            weighting=weighting,
            min_updates=draw(st.integers(1, most_updates)),
        ),
        aggregation=draw(aggregations(weighting, known_size)),
        faults=faults,
        engine=engine,
    )
