import tomllib

import pytest
from configurations import experiments
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import Experiment, nearest, parse_experiment, to_toml
from fedgdl.errors import ConfigError

SMALLEST = """
name = "x"
task = "spam"
[data]
source = "sms"
[training]
learning_rate = 0.1
"""


def parse(*overrides: str, text: str = SMALLEST) -> Experiment:
    return parse_experiment(text, "x.toml", overrides)


def complaint(*overrides: str, text: str = SMALLEST) -> str:
    """Returns the message of the one error that may come; it is in our words, not in those of a library."""
    with pytest.raises(ConfigError) as caught:
        parse(*overrides, text=text)
    message = str(caught.value)
    for jargon in ("$", "`", "object", "null", "regex", "enum", "array", "Traceback", "msgspec"):
        assert jargon not in message.replace("'$'", "").replace('"$"', ""), message
    return message


# What is read


@given(experiments())
def test_toml_reads_back_equal(experiment: Experiment) -> None:
    assert parse(text=to_toml(experiment)) == experiment


@given(experiments())
def test_written_toml_leaves_out_nothing_but_what_is_unset(experiment: Experiment) -> None:
    document = tomllib.loads(to_toml(experiment))
    assert ("cohort_size" in document) == (experiment.cohort_size is not None)
    training = experiment.training
    unset = {"clip_grad_norm"} if training.clip_grad_norm is None else set()
    assert document["training"].keys() == set(training.__struct_fields__) - unset


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse(text="\ufeff" + SMALLEST) == parse()


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("rounds=7", lambda experiment: experiment.rounds == 7),
        ("rounds = 7", lambda experiment: experiment.rounds == 7),
        ("rounds=1_000 # a thousand", lambda experiment: experiment.rounds == 1_000),
        ("training . epochs = 3", lambda experiment: experiment.training.epochs == 3),
        ("training.shuffle=false", lambda experiment: experiment.training.shuffle is False),
        ("training.learning_rate=1", lambda experiment: experiment.training.learning_rate == 1.0),
        ("training={learning_rate=2.5}", lambda experiment: experiment.training.learning_rate == 2.5),
        ("data.source=enron", lambda experiment: experiment.data.source == "enron"),
        ("data.source= enron ", lambda experiment: experiment.data.source == "enron"),
        ('data.source="enron"', lambda experiment: experiment.data.source == "enron"),
        ("data.source='enron'", lambda experiment: experiment.data.source == "enron"),
        ("task=my.module:Name", lambda experiment: experiment.task == "my.module:Name"),
        ("data.root=/my data/#1=2", lambda experiment: experiment.data.root == "/my data/#1=2"),
        (r"data.root=C:\data", lambda experiment: experiment.data.root == r"C:\data"),
        ("data.root=", lambda experiment: experiment.data.root == ""),
        ('name="2020-01-01"', lambda experiment: experiment.name == "2020-01-01"),
        ("engine.workers=2", lambda experiment: experiment.engine.workers == 2),
        ('data.partition={kind="iid", clients=5}', lambda experiment: experiment.data.partition.clients == 5),
        (
            'faults.events=[{kind="nan", client="bob", round=2}]',
            lambda experiment: experiment.faults.events[0].client == "bob",
        ),
    ],
)
def test_an_override_is_toml_or_else_a_string(override: str, read: object) -> None:
    assert callable(read)
    assert read(parse(override))


def test_the_last_override_wins_and_tables_are_merged() -> None:
    experiment = parse("rounds=2", "data.partition.kind=iid", "data.partition.clients=4", "rounds=5")
    assert experiment.rounds == 5
    assert (experiment.data.partition.kind, experiment.data.partition.clients) == ("iid", 4)


# What is refused: the document


@pytest.mark.parametrize(
    "text",
    [
        "rounds = many",
        "rounds",
        "[data",
        "[data]\n[data]",
        "name = 'x\ny'",
        "a = \x00",
        "\udcff = 1",
        "rounds = " + "9" * 5_000,
        "x = " + "[" * 5_000,
        "x = " + "{a=" * 5_000,
    ],
)
def test_what_is_no_toml_is_said_to_be_none(text: str) -> None:
    assert complaint(text=text).startswith("x.toml is no TOML: ")


@given(st.text(st.sampled_from("abc.=[]{}\"'#\n, 1-:") | st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_an_experiment_or_a_config_error(text: str) -> None:
    assert complaint(text=text).startswith("x.toml")  # no text of 60 characters holds all required keys


@given(
    st.sampled_from(["", "name", "rounds", "training", "training.epochs", "data.partition.clients", "faults.events"]),
    st.text(st.sampled_from("abc.=[]{}\"'#\n, 1-:") | st.characters(), max_size=30),
)
def test_any_override_is_taken_or_a_config_error(key: str, value: str) -> None:
    try:
        parse(f"{key}={value}")
    except ConfigError as error:
        assert str(error).startswith(("x.toml (with --set): ", "--set "))  # noqa: PT017 (it need not be raised)


def test_an_empty_file_lists_what_is_missing() -> None:
    assert complaint(text="") == "x.toml: these keys are missing: name, task, training.learning_rate"


@pytest.mark.parametrize(
    ("key", "what"),
    [("name = ", "name is missing: expected a string"), ("learning_rate", "training.learning_rate is missing: ")],
)
def test_one_missing_key_is_explained(key: str, what: str) -> None:
    text = "".join(line for line in SMALLEST.splitlines(keepends=True) if not line.startswith(key))
    assert complaint(text=text).startswith(f"x.toml: {what}")


def test_only_a_task_of_ones_own_needs_no_data_source() -> None:
    text = SMALLEST.replace('source = "sms"', "")
    assert complaint(text=text) == (
        'x.toml: data.source is missing: the task "spam" needs the name of a data set (fedgdl data list)'
    )
    own = text.replace('"spam"', '"mine:Task"')
    assert parse(text=own).data.source == ""
    assert parse(text=own.replace("[data]", "")) == parse(text=own)


def test_a_key_missing_in_a_list_names_its_place() -> None:
    message = complaint('faults.events=[{kind="nan", client="a", round=1}, {kind="nan", client="a"}]')
    assert "faults.events[1].round is missing: expected a whole number from 1" in message


# What is refused: keys


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("ruonds=3", "ruonds is not a known key; did you mean rounds? (known here: aggregation, cohort_size, data,"),
        ("ROUNDS=3", "ROUNDS is not a known key; did you mean rounds?"),
        ("trraining.epochs=3", "trraining is not a known key; did you mean training?"),
        ("training.epocs=3", "training.epocs is not a known key; did you mean epochs? (known in training: batch_size,"),
        ("training.batch-size=3", "did you mean batch_size?"),
        ("training.foo.bar=3", "training.foo is not a known key (known in training: "),
        ("data.partition.client=3", "data.partition.client is not a known key; did you mean clients?"),
        (
            'faults.events=[{kind="nan", clientt="a", round=1}]',
            "faults.events[0].clientt is not a known key; did you mean client? (known in faults.events[0]: client,",
        ),
        ("learning_rate=3", "learning_rate is not a known key; did you mean training.learning_rate?"),
        ("workers=3", "did you mean engine.workers?"),
        ("training.rounds=3", "training.rounds is not a known key; did you mean rounds?"),
        ("xyzzy=3", "xyzzy is not a known key (known here: "),
        ('"training".epochs=3', '"\\"training\\"" is not a known key; did you mean training?'),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(override: str, what: str) -> None:
    assert f"x.toml (with --set): {what}" in complaint(override) or f"; {what}" in complaint(override)


@pytest.mark.parametrize("key", ['"a.b"', '""', '"$"', '"a]b"', '"a`b"', '"\\n"', '"é"'])
def test_odd_keys_are_shown_as_toml_writes_them(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text=f"{SMALLEST}\n{key} = 1")
    assert f"training.{key} is not a known key" in str(caught.value)


@pytest.mark.parametrize("other", ["rounds=many", "training=3", "data.partition.kind=idd", "name=", "strategy.kind=1"])
def test_an_unknown_key_is_reported_before_any_other_mistake(other: str) -> None:
    assert "seeed is not a known key; did you mean seed?" in complaint(other, "seeed=1")
    assert "training.epocs is not a known key" in complaint(other, "training={epocs=1}")


@pytest.mark.parametrize("text", ["rounds = 'x'\nseeed = 3", "seeed = 3", "data = 3\nseeed = 4", "[seeed]\nx = 'y'"])
def test_an_unknown_key_is_reported_before_missing_ones(text: str) -> None:
    assert complaint(text=text).startswith("x.toml: seeed is not a known key; did you mean seed?")


# What is refused: overrides


@pytest.mark.parametrize("override", ["", "=", "rounds", "=3", ".=3", "data..root=x", ".rounds=3", "--rounds"])
def test_a_malformed_override_is_shown_with_an_example(override: str) -> None:
    assert complaint(override).startswith(f"--set {override!r}: expected key=value, for example --set training.")


def test_an_override_into_a_value_is_refused() -> None:
    assert complaint("name.x=3") == "--set 'name.x=3': name = \"x\" is a value, not a table"
    assert complaint("training.epochs=3", "training.epochs.x=3").endswith("training.epochs = 3 is a value, not a table")


def test_an_element_of_a_list_cannot_be_overridden() -> None:
    shares = "data.partition.shares=[0.5, 0.5]"
    assert "can only be set whole" in complaint("faults.events[0].kind=kill")
    assert "data.partition.shares = [0.5, 0.5] is a list, which can only be set whole" in complaint(
        shares, "data.partition.shares.0=0.5"
    )


def test_an_override_cannot_smuggle_in_a_second_key() -> None:
    assert 'rounds = "1\\nseed=2": expected a whole number' in complaint("rounds=1\nseed=2")
    assert "rounds = " in complaint("rounds=1\n[data]\nsource='other'")


def test_an_override_that_is_no_text_is_refused() -> None:
    assert complaint("data.root=/\udcff").endswith("expected text, some of its bytes are no UTF-8")


# What is refused: values

COUNT = "expected a whole number from 1 to 2147483647"
RATE = "expected a number above 0 and at most 1000000"
NAME = "expected a string of letters, digits and _ . @ : + - (no spaces, at most 200)"


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("rounds=0", f"rounds = 0: {COUNT}"),
        ("rounds=-3", f"rounds = -3: {COUNT}"),
        ("rounds=2147483648", f"rounds = 2147483648: {COUNT}"),
        ("rounds=1.5", f"rounds = 1.5: {COUNT}"),
        ("rounds=nan", f"rounds = nan: {COUNT}"),
        ("rounds=inf", f"rounds = inf: {COUNT}"),
        ("rounds=true", f"rounds = true: {COUNT}"),
        ('rounds="3"', f'rounds = "3": {COUNT}'),
        ("rounds=[3]", f"rounds = [3]: {COUNT}"),
        ("rounds={x=3}", f"rounds = {{x = 3}}: {COUNT}"),
        ("rounds=2020-01-01", f"rounds = 2020-01-01: {COUNT}"),
        ("rounds=0x" + "f" * 5_000, "rounds = 0xffff"),
        ("seed=-1", "seed = -1: expected a whole number from 0 to 9223372036854775807"),
        ("seed=9223372036854775808", "expected a whole number from 0 to 9223372036854775807"),
        ("cohort_size=0", f"cohort_size = 0: {COUNT}"),
        ("training.learning_rate=0", f"training.learning_rate = 0: {RATE}"),
        ("training.learning_rate=-0.1", f"training.learning_rate = -0.1: {RATE}"),
        ("training.learning_rate=nan", f"training.learning_rate = nan: {RATE}"),
        ("training.learning_rate=inf", f"training.learning_rate = inf: {RATE}"),
        ("training.learning_rate=1e999", f"training.learning_rate = inf: {RATE}"),
        ("training.learning_rate=0x" + "f" * 999, f"...: {RATE}"),
        ("training.learning_rate=true", f"training.learning_rate = true: {RATE}"),
        ("training.shuffle=1", "training.shuffle = 1: expected true or false"),
        ("training.shuffle=yes", 'training.shuffle = "yes": expected true or false'),
        ("data.test_fraction=0", "data.test_fraction = 0: expected a number above 0 and below 1"),
        ("data.test_fraction=nan", "data.test_fraction = nan: expected a number above 0 and below 1"),
        ("data.examples=9", "data.examples = 9: expected a whole number from 10 to 1000000"),
        ("aggregation.key_bits=2049", "aggregation.key_bits = 2049: expected an even number from 2048 to 8192"),
        ("data.partition.shares=[0.5, inf]", "data.partition.shares[1] = inf: expected a number above 0 and at most 1"),
        ("data.partition.shares=0.5", "expected a list in which each element is a number above 0 and at most 1"),
        ("data.partition.clients=many", f"{COUNT}, or a list in which each element is a string of letters"),
        ("data.partition.clients=[]", "data.partition.clients = []: "),
        ("data.partition.clients=[1]", f'data.partition.clients[0] = 1: {NAME}; in quotes it is a string: "1"'),
        ("data.root=3", 'data.root = 3: expected a string; in quotes it is a string: "3"'),
        ("engine.workers=0", "engine.workers = 0: expected a whole number from 1 to 1024"),
        ("engine.round_deadline_seconds=inf", f"engine.round_deadline_seconds = inf: {RATE}"),
        ("engine.round_deadline_seconds=1e7", f"engine.round_deadline_seconds = 10000000.0: {RATE}"),
        ("name=", f'name = "": {NAME}'),
        ("name=a b", f'name = "a b": {NAME}'),
        ("name=a/b", f'name = "a/b": {NAME}'),
        ('name="a\\n"', f'name = "a\\n": {NAME}'),
        ("name=" + "x" * 201, f"...: {NAME}"),
        ("name=1", f'name = 1: {NAME}; in quotes it is a string: "1"'),
        (
            "training=3",
            "training = 3: expected a table with keys from: batch_size, clip_grad_norm, drop_last, epochs, ",
        ),
        ("faults.events=3", "faults.events = 3: expected a list in which each element is a table with keys from: "),
        ("faults.events=[3]", "faults.events[0] = 3: expected a table with keys from: client, kind, round, when"),
        ("engine.kind=inlinee", 'engine.kind = "inlinee": expected one of "inline", "processes"; did you mean inline?'),
        ("engine.kind=3", 'engine.kind = 3: expected one of "inline", "processes"'),
        ("dtype=float16", 'dtype = "float16": expected one of "float32", "float64"; did you mean float'),
        ("aggregation.kind=plainn", 'expected one of "paillier", "plain", "secagg"; did you mean plain?'),
        ("aggregation.min_cohort=1", "aggregation.min_cohort = 1: expected a whole number from 2 to 2147483647"),
        ("aggregation.ring_bits=48", "aggregation.ring_bits = 48: expected one of 32, 64"),
        ("aggregation.clip=0", "aggregation.clip = 0: expected a number above 0 and at most 1000000"),
        ("strategy.weighting=Equal", 'expected one of "equal", "num_examples"; did you mean equal?'),
        (
            'faults.events=[{kind="kil", client="a", round=1}]',
            'faults.events[0].kind = "kil": expected one of "corrupt", "infinity", "kill", "nan", "raise", "stall"',
        ),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_allowed(override: str, what: str) -> None:
    message = complaint(override)
    assert what in message
    assert len(message) < 500


# What is refused: combinations

THREE = 'data.partition={kind="iid", clients=3}'
PAILLIER = "aggregation.kind=paillier"


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (
            ["data.partition.clients=3"],
            'from the source; clients and shares go with kind = "iid", "shards" or "shares", got clients = 3',
        ),
        (
            ["data.partition.kind=shards"],
            'kind = "shards" needs clients (a number or names) and no shares, got clients',
        ),
        (
            ['data.partition={kind="shards", clients=2, shares=[0.5, 0.5]}'],
            "needs clients (a number or names) and no shares, got clients = 2 and shares = [0.5, 0.5]",
        ),
        (
            ['data.partition={kind="iid", clients=3, min_examples=5}'],
            'min_examples goes with data.partition.kind = "natural" only, got min_examples = 5 and kind = "iid"',
        ),
        (
            ["data.partition.shards_per_client=3"],
            'goes with data.partition.kind = "shards" only, got shards_per_client = 3 and kind = "natural"',
        ),
        (["data.partition.shares=[1]"], "got clients = none and shares = [1.0]"),
        (["data.partition.kind=iid"], 'kind = "iid" needs clients (a number or names) and no shares, got clients = no'),
        ([THREE, "data.partition.shares=[0.5, 0.5]"], "needs clients (a number or names) and no shares, got clients"),
        (
            ['data.partition={kind="shares", clients=["a", "b"], shares=[1]}'],
            'needs as many names in clients as there are shares, got clients = ["a", "b"] and shares = [1.0]',
        ),
        (['data.partition={kind="shares", clients=2, shares=[0.5, 0.5]}'], "needs as many names in clients"),
        (['data.partition={kind="shares"}'], "got clients = none and shares = []"),
        (
            ['data.partition={kind="shares", clients=["a", "b"], shares=[0.5, 0.4]}'],
            "data.partition.shares = [0.5, 0.4] must sum to 1, they sum to 0.9",
        ),
        (
            ['data.partition={kind="shares", clients=["a", "a"], shares=[0.5, 0.5]}'],
            "data.partition.clients names a more than once",
        ),
        (
            ['data.partition={kind="iid", clients=["b", "a", "b", "a"]}'],
            "data.partition.clients names a, b more than once",
        ),
        (
            ["cohort_size=2", "strategy.min_updates=3"],
            "strategy.min_updates = 3 can never be met by cohort_size = 2",
        ),
        (
            [THREE, "strategy.min_updates=4"],
            "strategy.min_updates = 4 can never be met by the number of clients in data.partition = 3",
        ),
        (
            ["aggregation.kind=secagg", "cohort_size=2"],
            "set aggregation.min_cohort=2 if you mean it: with two clients each learns the other's update from the sum",
        ),
        (
            ["aggregation.kind=secagg", THREE, "aggregation.min_cohort=5"],
            "a cohort of 3 (the number of clients in data.partition = 3) is too small for aggregation.min_cohort = 5",
        ),
        (
            ["aggregation.kind=secagg", "cohort_size=1", "aggregation.min_cohort=2"],
            "the sum over one client is its own update",
        ),
        (
            ["strategy.weighting=equal", "aggregation.max_weight=64"],
            'goes with strategy.weighting = "num_examples" only: with "equal" weights all are 1, got max_weight = 64',
        ),
        (
            ["engine.kind=inline", 'faults.events=[{kind="kill", client="a", round=1}]'],
            'faults.events kind = "kill" would end or stop this process itself under engine.kind = "inline"',
        ),
        (
            ["engine.kind=inline", 'faults.events=[{kind="stall", client="a", round=1}]'],
            'use engine.kind = "processes"',
        ),
        (
            ['faults.events=[{kind="stall", client="a", round=1}]'],
            'faults.events kind = "stall" never ends without engine.round_deadline_seconds',
        ),
        (
            ['faults.events=[{kind="nan", client="a", round=1, when="after_training"}]'],
            'faults.events when = "after_training" goes with kind = "kill" only, got kind = "nan"',
        ),
        (
            ['faults.events=[{kind="kill", client="a", round=1, when="unmask"}]'],
            'when = "unmask" never comes: it is a stage of aggregation.kind = "secagg", got kind = "plain"',
        ),
        (
            [
                "aggregation.kind=secagg",
                "aggregation.consistency=false",
                'faults.events=[{kind="kill", client="a", round=1, when="consistency"}]',
            ],
            'when = "consistency" never comes: aggregation.consistency = false leaves this stage out',
        ),
        (
            [PAILLIER, "aggregation.key_holder=coordinator"],
            "needs aggregation.insecure = true: all ciphertexts reach the coordinator, which could then decrypt each",
        ),
        (
            [PAILLIER, "aggregation.threshold=2"],
            'aggregation.threshold = 2 goes with aggregation.key_holder = "threshold" only, got key_holder = "process"',
        ),
        (
            [PAILLIER, "aggregation.key_holder=threshold", "aggregation.threshold=4", "cohort_size=3"],
            "aggregation.threshold = 4 clients can never open a sum together: a cohort has 3 (cohort_size = 3)",
        ),
        (
            [PAILLIER, "aggregation.key_holder=threshold", "aggregation.threshold=4", THREE],
            "a cohort has 3 (the number of clients in data.partition = 3)",
        ),
        (
            [PAILLIER, "aggregation.key_holder=threshold", "aggregation.key_file=mine.json"],
            'aggregation.key_file does not go with aggregation.key_holder = "threshold"',
        ),
        (
            [PAILLIER, "aggregation.insecure_key_bits=512", "aggregation.key_bits=2048"],
            "aggregation.insecure_key_bits = 512 stands instead of key_bits, got key_bits = 2048, too",
        ),
        (
            [PAILLIER, "aggregation.max_attempts=2"],
            "tries a round once, since a client sends one update a round, got max_attempts = 2",
        ),
        ([PAILLIER, "cohort_size=2"], "set aggregation.min_cohort=2 if you mean it"),
        (
            ['faults.events=[{kind="kill", client="a", round=1, when="encrypting"}]'],
            'when = "encrypting" never comes: nothing is encrypted but under aggregation.kind = "paillier", got kind =',
        ),
        (
            [PAILLIER, 'faults.events=[{kind="kill", client="a", round=1, when="decrypt"}]'],
            'key_holder = "clients" or "threshold" only, got kind = "paillier" and key_holder = "process"',
        ),
        (
            ["aggregation.key_holder=clients", 'faults.events=[{kind="kill", client="a", round=1, when="decrypt"}]'],
            'when = "decrypt" never comes: clients decrypt under aggregation.kind = "paillier" with',
        ),
        (
            [PAILLIER, 'faults.events=[{kind="kill", client="a", round=1, when="unmask"}]'],
            'it is a stage of aggregation.kind = "secagg", got kind = "paillier"',
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(overrides: list[str], what: str) -> None:
    assert what in complaint(*overrides)


@pytest.mark.parametrize("when", ["advertise", "share", "before_training", "consistency", "unmask"])
def test_a_worker_can_be_killed_at_each_stage_of_a_secure_aggregation(when: str) -> None:
    fault = f'{{kind="kill", client="a", round=1, when="{when}"}}'
    assert parse("aggregation.kind=secagg", f"faults.events=[{fault}]").faults.events[0].when == when


@pytest.mark.parametrize(
    "overrides",
    [
        ["aggregation.kind=secagg", "cohort_size=2", "aggregation.min_cohort=2"],
        ["aggregation.kind=secagg", "cohort_size=3"],
        ["cohort_size=1"],  # nothing is hidden in a plain cohort, however small
        ["strategy.weighting=equal", "aggregation.max_weight=1"],
        [PAILLIER, "cohort_size=3"],
        [PAILLIER, "aggregation.key_holder=coordinator", "aggregation.insecure=true"],
        [PAILLIER, "aggregation.key_holder=threshold", "aggregation.threshold=3", "cohort_size=3"],
        [PAILLIER, "aggregation.key_holder=clients", "aggregation.key_file=mine.json"],
        [PAILLIER, "aggregation.insecure_key_bits=128"],
        [PAILLIER, 'faults.events=[{kind="kill", client="a", round=1, when="encrypting"}]'],
        [
            PAILLIER,
            "aggregation.key_holder=clients",
            'faults.events=[{kind="kill", client="a", round=1, when="decrypt"}]',
        ],
        # What goes with one kind only waits there for it, as the keys of masked sums do.
        ["aggregation.key_holder=coordinator", "aggregation.threshold=9", "aggregation.insecure_key_bits=128"],
        ["aggregation.max_attempts=3", "aggregation.key_file=mine.json", "aggregation.key_bits=2048"],
    ],
)
def test_values_that_go_together_are_taken(overrides: list[str]) -> None:
    parse(*overrides)


def test_shares_of_a_third_each_sum_to_one() -> None:
    third = 1 / 3
    experiment = parse(f'data.partition={{kind="shares", clients=["a", "b", "c"], shares=[{third}, {third}, {third}]}}')
    assert experiment.data.partition.shares == (third, third, third)


# Spelling


@pytest.mark.parametrize(
    ("word", "found"),
    [("enron", "Enron"), ("ENRONN", "Enron"), ("smss", "sms"), ("quite another", ""), ("", "")],
)
def test_the_nearest_word_is_found_in_any_case(word: str, found: str) -> None:
    assert nearest(word, ["Enron", "sms"]) == (f"; did you mean {found}?" if found else "")


def test_nothing_is_near_when_nothing_is_known() -> None:
    assert nearest("anything", []) == ""
