import json

from fedgdl.federated import ClientRecord, RoundRecord, StageRecord

RECORD = RoundRecord(
    round_index=2,
    status="done",
    loss=0.25,
    accuracy=0.5,
    seconds=1.5,
    bytes_up=10,
    bytes_down=20,
    clients=(ClientRecord("ann", "done", 4, 0.5, 0.75), ClientRecord("bob", "failed", reason="its worker was lost")),
    cohort={"train_loss": 0.5},
    stages=(StageRecord("train", 1.25, 1, 9),),
)


def test_a_record_knows_who_is_missing() -> None:
    assert RECORD.failures == (RECORD.clients[1],)


def test_a_record_becomes_json_with_every_field() -> None:
    document = json.loads(json.dumps(RECORD.to_dict(), allow_nan=False))
    assert document == {
        "round_index": 2,
        "status": "done",
        "loss": 0.25,
        "accuracy": 0.5,
        "seconds": 1.5,
        "bytes_up": 10,
        "bytes_down": 20,
        "clients": [
            {
                "client_id": "ann",
                "status": "done",
                "num_examples": 4,
                "train_loss": 0.5,
                "train_accuracy": 0.75,
                "reason": "",
            },
            {
                "client_id": "bob",
                "status": "failed",
                "num_examples": None,
                "train_loss": None,
                "train_accuracy": None,
                "reason": "its worker was lost",
            },
        ],
        "metrics": {},
        "cohort": {"train_loss": 0.5},
        "stages": [{"name": "train", "seconds": 1.25, "num_answers": 1, "bytes_up": 9, "attempt": 1}],
        "reason": "",
    }
