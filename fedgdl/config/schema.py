"""The schema of an experiment: every key, its type, its range and its default.

There is no default anywhere else. Single values are checked where they are declared; combinations of values
in `fedgdl.config.combinations`.

Example:
    >>> TrainingConfig(learning_rate=0.1).batch_size
    500
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from fedgdl.parameters import DType

__all__ = [
    "AggregationConfig",
    "DataConfig",
    "EngineConfig",
    "Experiment",
    "FaultConfig",
    "FaultsConfig",
    "ModelConfig",
    "PartitionConfig",
    "StrategyConfig",
    "TrainingConfig",
]

_NAME_IN_WORDS: Final = "a string of letters, digits and _ . @ : + - (no spaces, at most 200)"

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[\w.@:+-]+\Z", description=_NAME_IN_WORDS)]
NameOrNothing = Annotated[str, Meta(max_length=200, pattern=r"^[\w.@:+-]*\Z", description=_NAME_IN_WORDS)]
Share = Annotated[float, Meta(gt=0, le=1)]
LearningRate = Annotated[float, Meta(gt=0, le=1_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=1_000_000)]
"""Up to eleven days: the operating system waits for no more than 2**31 milliseconds at once."""


class PartitionConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How the training examples are split into clients.

    Attributes:
        kind: `"natural"`: the groups that the source itself has (mailbox owners, say);
            `"iid"`: equal random parts; `"shares"`: random parts of stated shares; `"shards"`: the examples
            sorted by label and cut into equal pieces, some of which each client gets at random.
        clients: for `"iid"` and `"shards"` how many, or their names; for `"shares"` their names.
        shares: for `"shares"`, each client's share of the examples; they sum to 1.
        shards_per_client: for `"shards"`, how many pieces a client gets.
        min_examples: clients with fewer training examples than this are left out; for `"natural"` only.
    """

    kind: Literal["natural", "iid", "shares", "shards"] = "natural"
    clients: Count | Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None
    shares: tuple[Share, ...] = ()
    shards_per_client: Count = 2
    min_examples: Count = 1


class DataConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the examples come from and how they are prepared.

    Attributes:
        source: the data set's name; `fedgdl data list` prints them. A task of one's own that brings its data along
            needs none.
        fallback: the data set to use when `source` is not on this machine; none: an error.
        root: a folder to look in before `FEDGDL_DATA` and the user's cache.
        partition: how the examples become clients.
        test_fraction: the share of all examples kept for testing, for sources without a split of their own.
        min_count: words found in fewer training examples than this are left out of the vocabulary.
        max_tokens: only the first so many distinct words of an example are kept; none: all.
        sequence_length: characters or words of an example that is a piece of text in order.
        train_examples: only so many training examples, the first ones, are used; none: all.
        test_examples: likewise for the test examples.
        examples: how many examples a synthetic source generates.
    """

    source: NameOrNothing = ""
    fallback: Name | None = None
    root: str | None = None
    partition: PartitionConfig = PartitionConfig()
    test_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    min_count: Count = 1
    max_tokens: Count | None = None
    sequence_length: Annotated[int, Meta(ge=2, le=10_000)] = 80
    train_examples: Count | None = None
    test_examples: Count | None = None
    examples: Annotated[int, Meta(ge=10, le=1_000_000)] = 6_000


class ModelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The sizes of the task's model; what is left out takes the task's own.

    Attributes:
        hidden: units of each hidden layer, first to last.
        embedding_size: the length of the vector of a word or character.
        dropout: the share of hidden values that training sets to zero.
    """

    hidden: Annotated[tuple[Count, ...], Meta(max_length=100)] | None = None
    embedding_size: Count | None = None
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0


class TrainingConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How one client trains in one round.

    Attributes:
        epochs: passes over the client's own examples.
        batch_size: examples a step.
        learning_rate: step size of SGD in the first round.
        learning_rate_decay: each round's step size is the one before times this.
        momentum: of SGD; a client's velocity starts from zero in each round.
        weight_decay: of SGD: this times the parameters is added to the gradient.
        clip_grad_norm: a longer gradient of a step is scaled to this length; none: never.
        loss_reduction: whether a step descends the batch's mean loss or its sum.
        shuffle: whether each epoch visits the examples in a new seeded order, or in file order.
        drop_last: whether a last batch smaller than `batch_size` is skipped.
    """

    learning_rate: LearningRate
    epochs: Count = 1
    batch_size: Count = 500
    loss_reduction: Literal["mean", "sum"] = "mean"
    shuffle: bool = True
    drop_last: bool = False
    learning_rate_decay: Annotated[float, Meta(gt=0, le=1)] = 1.0
    momentum: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    clip_grad_norm: Annotated[float, Meta(gt=0, le=1_000_000_000)] | None = None


class StrategyConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How updates become the next model.

    Attributes:
        kind: the algorithm.
        weighting: whether every client counts the same, or by its number of examples.
        min_updates: a round with fewer updates than this changes nothing and is reported as failed.
    """

    kind: Literal["fedavg"] = "fedavg"
    weighting: Literal["num_examples", "equal"] = "num_examples"
    min_updates: Count = 1


class AggregationConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What the coordinator sees of an update.

    Attributes:
        kind: `"plain"`: everything; `"secagg"`: masked vectors, of which only the sum over the clients that stayed
            can be opened; `"paillier"`: ciphertexts, of which whoever holds the key opens the sum.
        exact: for `"plain"`: updates are encoded in fixed point as under protection, so that both end with the
            same model, bit for bit. Protected updates always are.
        clip: elements of a client's delta outside of [-clip, clip] are set to the nearer end; for encoded updates,
            as are all the following.
        bits: bits of an encoded element, before sums.
        rounding: to the nearest multiple of the step, or up or down at random, right on average.
        ring_bits: sums are formed modulo 2 to this power.
        max_weight: a client with more examples is weighed as if it had this many; none: the power of two
            at or above the largest client's number of examples, which is thereby made public.
        min_cohort: no sum over fewer clients is ever opened; the smallest cohort that may be asked for.
        corrupt_share: the share of clients that may work against the others; for cohorts of more than 100.
        dropout_share: the share of clients that may drop out of a round; for cohorts of more than 100.
        privacy_bits: the probability that these corrupt clients can read an update stays below 2 to minus this.
        liveness_bits: the probability that these drop-outs end the round stays below 2 to minus this.
        consistency: whether the clients that stayed sign who they are before anything is unmasked.
        max_attempts: how often a round is tried that too many clients dropped out of before its sum could be opened.
        key_bits: for `"paillier"`, as are all the following: bits of the modulus.
        insecure_key_bits: instead of `key_bits`, a modulus so short that it can be factored; for teaching.
        key_holder: who can decrypt: `"process"`: a process of its own; `"clients"`: all clients, each with the whole
            key; `"threshold"`: as many clients together as `threshold` says, each with a share of it;
            `"coordinator"`: the coordinator itself, which can then read every update.
        insecure: has to be set for `key_holder = "coordinator"`.
        sum_check: `"signed"`: whoever decrypts gets the clients' signed ciphertexts and forms the sum itself;
            `"trusted"`: it takes the coordinator's word for what it is asked to decrypt.
        threshold: for `key_holder = "threshold"`: how many clients open a sum; none: more than half of all
            clients where a cohort has so many, else more than half of a cohort.
        obfuscator_pool: `"none"`: what hides a plaintext is computed when it is needed; `"background"`: also while a
            worker has nothing to do; `"beforehand"`: likewise, and enough for its first round before that begins.
        key_file: a private key, as `fedgdl keys new` writes it; none: a new key for each run.
    """

    kind: Literal["plain", "secagg", "paillier"] = "plain"
    exact: bool = False
    clip: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    bits: Annotated[int, Meta(ge=2, le=32)] = 16
    rounding: Literal["nearest", "stochastic"] = "nearest"
    ring_bits: Literal[32, 64] = 32
    max_weight: Count | None = None
    min_cohort: Annotated[int, Meta(ge=2, le=2**31 - 1)] = 3
    corrupt_share: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    dropout_share: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    privacy_bits: Annotated[int, Meta(ge=1, le=128)] = 40
    liveness_bits: Annotated[int, Meta(ge=1, le=128)] = 30
    consistency: bool = True
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 1
    key_bits: Annotated[int, Meta(ge=2048, le=8192, multiple_of=2)] = 3072
    insecure_key_bits: Annotated[int, Meta(ge=128, le=2046, multiple_of=2)] | None = None
    key_holder: Literal["process", "clients", "threshold", "coordinator"] = "process"
    insecure: bool = False
    sum_check: Literal["signed", "trusted"] = "signed"
    threshold: Annotated[int, Meta(ge=2, le=10_000)] | None = None
    obfuscator_pool: Literal["none", "background", "beforehand"] = "none"
    key_file: str | None = None

    @property
    def is_private(self) -> bool:
        """Whether the coordinator must not see anything of a single client's update, counts and losses included."""
        return self.kind != "plain"

    @property
    def is_encoded(self) -> bool:
        """Whether updates travel as integers in fixed point."""
        return self.exact or self.is_private


class FaultConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault to inject: what happens to which client in which round.

    Attributes:
        kind: `"kill"` ends the client's worker with SIGKILL; `"nan"` and `"infinity"` spoil one element
            of its update; `"raise"` raises in its training; `"stall"` never answers; `"corrupt"` flips a
            bit of the bytes it sends.
        client: the client's id.
        round: the round, counted from 1.
        when: for `"kill"`, the moment: before it trains, after it has trained, or after its result is sent; or, under
            secure aggregation, when it is asked for its part in the stage of that name; or, under encrypted
            aggregation, when half of its update is encrypted, or when it is asked to decrypt.
    """

    kind: Literal["kill", "nan", "infinity", "raise", "stall", "corrupt"]
    client: Name
    round: Count
    when: Literal[
        "before_training",
        "after_training",
        "after_sending",
        "advertise",
        "share",
        "consistency",
        "unmask",
        "encrypting",
        "decrypt",
    ] = "before_training"


class FaultsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Faults to inject, for demonstrations and tests of what a run survives."""

    events: tuple[FaultConfig, ...] = ()


class EngineConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where clients run.

    Attributes:
        kind: `"processes"`: in long-lived worker processes; `"inline"`: in this one (for debuggers).
        workers: how many worker processes; none: one for each usable core.
        round_deadline_seconds: a client that has not answered by then is left out of the round and its
            worker replaced; none: a round waits as long as its workers live. In a round of several stages each has so
            much time, and a worker that is replaced takes all its clients with it.
    """

    kind: Literal["processes", "inline"] = "processes"
    workers: Annotated[int, Meta(ge=1, le=1024)] | None = None
    round_deadline_seconds: Seconds | None = None


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """One federated experiment, complete: the file, the overrides and the defaults together.

    Attributes:
        name: names the run's folder.
        task: a task of this library, or a user's own as `"module:Name"`.
        training: how one client trains.
        data: where the examples come from.
        model: the sizes of the task's model.
        rounds: how many rounds.
        until_accuracy: the run ends early, after the first evaluated round whose test accuracy is at least
            this; none: all rounds are run.
        evaluate_every: the model is tested after every so many rounds, and after the last.
        seed: the root of every random stream.
        cohort_size: clients sampled a round; none: all of them.
        dtype: the parameters' element type.
        strategy, aggregation, faults, engine: see their classes.
    """

    name: Name
    task: Name
    training: TrainingConfig
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    rounds: Count = 3
    until_accuracy: Share | None = None
    evaluate_every: Count = 1
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 12345
    cohort_size: Count | None = None
    dtype: DType = "float32"
    strategy: StrategyConfig = StrategyConfig()
    aggregation: AggregationConfig = AggregationConfig()
    faults: FaultsConfig = FaultsConfig()
    engine: EngineConfig = EngineConfig()
