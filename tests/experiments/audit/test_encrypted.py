"""Whole audited runs with encrypted updates: right obfuscators pass, wrong ones do not; each key holder is named."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from audited import Audited, run_audited, spam_experiment
from gmpy2 import mpz

from experiments.audit.encrypted import EncryptedExaminer
from experiments.audit.encrypted_threats import could_not_read, could_read, encrypted_threat_model
from experiments.audit.tallies import Check
from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
from fedgdl.crypto.paillier import Packing, TableObfuscators, encrypt_vector, make_obfuscators
from fedgdl.crypto.paillier.private import generate
from fedgdl.data import load_dataset
from fedgdl.data.prepared import PreparedDataset
from fedgdl.errors import WireError
from fedgdl.federated import ClientUpdate
from fedgdl.parameters import Layout
from fedgdl.wire import ToCoordinator, TrainResult, encode, encode_struct
from fedgdl.wire.paillier import EncryptedUpdate, FromKeyHolder, KeyCertificate, PaillierHeader, RoundAnnouncement

PAILLIER = ("aggregation.kind=paillier", "aggregation.insecure_key_bits=256")
HOLDERS = {
    "process": ("key holder: every update, if it broke its rules", "process of its own"),
    "clients": ("every other one's update, if it broke its rules", "every client"),
    "threshold": ("Any 2 clients together: every update, if they broke their rules", "2 of 3 clients together"),
}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return run_audited(tmp_path_factory.mktemp("process") / "run", spam_experiment(*PAILLIER))


def test_a_right_run_passes_all_checks(process: Audited) -> None:
    assert process.audit.problems == []
    assert process.document["verdict"] == "passed"
    assert set(process.audit.summary()["verdicts"].values()) == {"passed"}
    assert len(process.document["checks"]) == 13
    assert "obfuscators that are missing, reused or poor" in process.page
    assert "masks" not in process.page


def test_every_frame_of_clients_and_key_holder_is_accounted_for(process: Audited) -> None:
    received = process.document["received"]
    kinds = received["kinds"]
    assert received["bytes"] == sum(kind["bytes"] for kind in kinds.values())
    assert kinds["answers: encrypted input"]["frames"] == 6
    assert kinds["the key holder is ready"]["frames"] == 1
    assert kinds["the key holder has looked at an update"]["frames"] == 6
    assert kinds["the key holder has opened a sum"]["frames"] == 2
    assert "cannot be read" not in kinds
    of_rounds = sum(record.bytes_up for record in process.history.rounds)
    of_holder = sum(kind["bytes"] for name, kind in kinds.items() if name.startswith("the key holder"))
    assert received["bytes"] >= of_rounds + of_holder


def test_no_word_of_a_client_s_mails_is_in_any_frame(process: Audited) -> None:
    config = process.history.experiment
    data = load_dataset(config.data, config.seed)
    assert isinstance(data, PreparedDataset)
    words = [word for word in data.vocabulary.words if len(word) > 4]
    assert len(words) > 100
    received = process.received[8:].lower()  # without the letters that the file begins with
    found = {word for word in words if word.encode() in received}
    # Some stand in the names of messages and of their fields. In 50 kB of noise 800 words of five letters or more are
    # found with a probability of one in 30,000; two of them, never.
    of_protocol = repr((ToCoordinator, FromKeyHolder, msgspec.json.schema(ToCoordinator | FromKeyHolder))).lower()
    assert len({word for word in found if word not in of_protocol}) < 2


@pytest.mark.slow
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("sums", ["signed", "trusted"])
def test_every_key_holder_passes_and_is_told(tmp_path: Path, holder: str, sums: str) -> None:
    options = (f"aggregation.key_holder={holder}", f"aggregation.sum_check={sums}")
    audited = run_audited(tmp_path / "run", spam_experiment(*PAILLIER, *options))
    assert set(audited.audit.summary()["verdicts"].values()) == {"passed"}
    reads, named = HOLDERS[holder]
    assert (reads in _words(audited.document)) == (sums == "signed")
    assert (
        f"key of 256 bits with {'a ' if holder == 'process' else ''}{named}, sums {sums}"
        in (audited.document["configuration"])
    )


def test_a_coordinator_with_the_key_is_no_protection_however_right_the_ciphertexts(tmp_path: Path) -> None:
    options = ("aggregation.key_holder=coordinator", "aggregation.insecure=true", "rounds=1")
    audited = run_audited(tmp_path / "run", spam_experiment(*PAILLIER, *options))
    assert audited.document["verdict"] == "unprotected"
    assert not audited.audit.has_failed
    assert set(audited.audit.summary()["verdicts"].values()) == {"passed"}
    assert audited.document["could_not_read"] == []
    assert "holds the key, and can read everything" in audited.page


def ones(_table: TableObfuscators, count: int) -> list[mpz]:
    return [mpz(1)] * count


def always_the_same(table: TableObfuscators, count: int) -> list[mpz]:
    return [mpz(pow(int(table.public_key.hs or 0), 3**150, int(table.public_key.n_squared)))] * count


def small(table: TableObfuscators, count: int) -> list[mpz]:
    """Powers with exponents below 2^16, each of them another one."""
    key = table.public_key
    return [mpz(pow(int(key.hs or 0), 500 * index + 7, int(key.n_squared))) for index in range(count)]


@pytest.mark.parametrize(
    ("draw", "finds"),
    [
        (ones, {"unpredictable obfuscators", "one-time obfuscators", "obfuscators", "distribution modulo n", "bytes"}),
        (always_the_same, {"one-time obfuscators"}),
        (small, {"unpredictable obfuscators", "one-time obfuscators"}),
    ],
    ids=["one", "the same", "small"],
)
def test_weak_obfuscators_are_caught_although_the_sum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: Any, finds: set[str]
) -> None:
    monkeypatch.setattr(TableObfuscators, "draw", draw)
    audited = run_audited(tmp_path / "run", spam_experiment(*PAILLIER))
    assert audited.history.status == "done"
    verdicts = audited.audit.summary()["verdicts"]
    assert finds <= {name for name, verdict in verdicts.items() if verdict == "failed"}
    assert verdicts["the opened sum"] == "passed"
    assert verdicts["envelopes"] == verdicts["range"] == "passed"
    assert "not what right ciphertexts make of them" in audited.page


class Scene:
    """An experiment of three clients, its key, and an examiner of what they send."""

    def __init__(self) -> None:
        aggregation = AggregationConfig("paillier", insecure_key_bits=256, max_weight=1)
        experiment = Experiment("one", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
        self.key = generate(256).public_key
        self.announcements: dict[int, bytes] = {}
        self.examiner = EncryptedExaminer(experiment, Layout.of({"w": (40,)}), self.announcements)
        encoding = self.examiner.encoding
        self.packing = Packing(encoding.size, encoding.sum_bits, self.key.plaintext_bits)
        self.vector = encoding.encode(ClientUpdate(np.linspace(-1, 1, 40), 1, 0.5, 0.5)).vector
        self.header = PaillierHeader(
            version=1,
            session=bytes(16),
            key_id=self.key.key_id,
            round_index=1,
            model_sha256="0" * 64,
            layout_sha256="1" * 64,
            encoding_sha256=encoding.digest,
            packing_sha256=self.packing.digest,
            num_clients=3,
            min_clients=3,
        )
        self.announce(self.key.to_bytes())
        self._obfuscators = make_obfuscators(self.key)
        self._num_signed = 0

    def announce(self, document: bytes) -> None:
        certificate = KeyCertificate(1, bytes(16), document, 0, 0, bytes(64))
        self.announcements[1] = encode_struct(RoundAnnouncement(self.header, certificate))

    def update(self, **changes: Any) -> EncryptedUpdate:
        self._num_signed += 1
        data = encrypt_vector(self.key, self.packing, self.vector, self._obfuscators)
        signature = (1000 + self._num_signed).to_bytes(64, "big")
        update = EncryptedUpdate(self.key.key_id, self.packing.digest, data, signature)
        return msgspec.structs.replace(update, **changes)

    def take(self, update: EncryptedUpdate, client_id: str = "alice") -> None:
        frame = encode(TrainResult(1, client_id, encode_struct(update)))
        self.examiner.take(1, client_id, frame, lambda *_: self.vector)

    @property
    def envelopes(self) -> Check:
        return self.examiner.results()[0]


@pytest.mark.parametrize(
    ("changes", "finds"),
    [
        ({"key_id": "2" * 64}, "of another key: bob, round 1"),
        ({"packing_sha256": "2" * 64}, "of another packing: bob, round 1"),
        ({"signature": bytes(64)}, "unsigned: bob, round 1"),
        ({"signature": (1001).to_bytes(64, "big")}, "signed as another one: bob, round 1"),
        ({}, ""),
    ],
    ids=["key", "packing", "unsigned", "the same signature", "right"],
)
def test_envelopes_that_differ_are_found(changes: dict[str, Any], finds: str) -> None:
    scene = Scene()
    for client_id, update in {"alice": scene.update(), "bob": scene.update(**changes)}.items():
        scene.take(update, client_id)
    assert scene.envelopes.is_alarm is bool(finds)
    assert scene.envelopes.found.partition("; first ")[2] == finds


def test_an_update_of_another_size_is_found_and_not_read() -> None:
    scene = Scene()
    scene.take(scene.update())
    with pytest.raises(WireError, match="are not 4 ciphertexts"):
        scene.take(scene.update(ciphertexts=b"x" * 100), "bob")
    assert scene.envelopes.is_alarm
    assert "of another size: bob, round 1" in scene.envelopes.found


def test_a_number_that_is_no_ciphertext_is_found() -> None:
    scene = Scene()
    scene.take(scene.update(ciphertexts=bytes(scene.packing.num_plaintexts * scene.key.ciphertext_bytes)))
    assert {check.name for check in scene.examiner.results() if check.is_alarm} == {"range"}


def test_what_cannot_be_told_is_refused() -> None:
    scene = Scene()
    scene.announce(b"no key")
    with pytest.raises(WireError, match="public key cannot be used"):
        scene.take(scene.update())
    scene.announcements.clear()
    with pytest.raises(WireError, match="round 1 was never announced"):
        scene.take(scene.update())
    with pytest.raises(WireError):
        scene.examiner.take(1, "alice", encode(TrainResult(1, "alice", b"none")), lambda *_: None)


def described(**changes: Any) -> dict[str, Any]:
    usual = {"num_clients": 5, "min_clients": 3, "max_weight": 8, "key_bits": 3072, "is_key_secure": True}
    return {**usual, "population": 5, "threshold": 3, **changes}


def words(aggregation: AggregationConfig, **changes: Any) -> str:
    experiment = Experiment("x", "spam", TrainingConfig(0.1), aggregation=aggregation)
    sections = encrypted_threat_model(experiment, described(**changes))
    return " ".join(text for section in sections for text in section.statements)


def _words(document: dict[str, Any]) -> str:
    return " ".join(text for section in document["threat_model"] for text in section["statements"])


def test_who_could_read_what_is_told_of_each_key_holder() -> None:
    signed, trusted = AggregationConfig("paillier"), AggregationConfig("paillier", sum_check="trusted")
    assert "may be curious, and may lie" in words(signed)
    assert "The key holder: every update, if it broke its rules" in words(signed)
    assert "together with the coordinator it could read every update" in words(signed)
    assert "one that lies can have a single client's update opened" in words(trusted)
    assert "The key holder: the sums" in words(trusted)
    clients_signed = words(AggregationConfig("paillier", key_holder="clients"))
    assert "honest but curious. It cannot make sums up" in clients_signed
    assert "a single one that shows it to the coordinator" in clients_signed
    assert "Every client of a round: every other one's update" in clients_signed
    clients_trusted = words(AggregationConfig("paillier", key_holder="clients", sum_check="trusted"))
    assert "Every client of a round: the sum." in clients_trusted
    own = words(AggregationConfig("paillier", key_holder="coordinator", insecure=True))
    assert "The coordinator: every client's update, number of examples, loss and accuracy." in own
    assert "no single client's update" not in own


@pytest.mark.parametrize(
    ("population", "threshold", "tells"),
    [
        (5, 3, "unless a client helps it"),  # two groups of three of five have one in common: it would have to help
        (5, 4, "unless more than 2 clients help it"),
        (6, 3, "But there are two groups of 3 clients without one in common"),
    ],
)
def test_a_threshold_that_two_groups_reach_is_told(population: int, threshold: int, tells: str) -> None:
    told = words(AggregationConfig("paillier", key_holder="threshold"), population=population, threshold=threshold)
    assert tells in told
    assert f"at most {threshold - 1} may tell the coordinator" in told


def test_short_keys_are_named_wherever_something_is_said_to_be_hidden() -> None:
    aggregation = AggregationConfig("paillier", insecure_key_bits=512)
    weak = described(key_bits=512, is_key_secure=False)
    assert any("price of factoring a modulus of 512 bits" in what for what in could_read(aggregation, weak))
    assert all(what.endswith("without factoring the key") for what in could_not_read(aggregation, weak))
    assert "so short a key is for teaching" in words(aggregation, key_bits=512, is_key_secure=False)
    assert not any("factoring" in what for what in could_not_read(aggregation, described()))


def test_two_clients_read_each_other() -> None:
    assert "the sum less its own update is the other one's" in words(AggregationConfig("paillier"), num_clients=2)
