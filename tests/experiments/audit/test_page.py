"""The page: self-contained, well-formed, without anybody else's markup, and readable for cohorts of any size."""

import html.parser
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audited import SECAGG, line_experiment, line_task, run_audited

from experiments.audit.document import audit_document, verdict_of
from experiments.audit.evidence import Evidence
from experiments.audit.page import render_page
from experiments.audit.pictures import draw_bytes, draw_correlations, draw_stages
from experiments.audit.recorder import AuditRecorder
from experiments.audit.tallies import Check, Correlation
from experiments.audit.threat_model import threat_model
from experiments.audit.traffic import OpenedSum
from experiments.protection import describe, settle
from experiments.run_history import RunHistory
from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
from fedgdl.federated import ClientRecord, CohortSums, FedAvg, RoundRecord
from fedgdl.parameters import Layout, Parameters

VOID = {"meta", "br", "img"}


class Outline(html.parser.HTMLParser):
    """Collects the elements and the text of a page; whatever is opened must be closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())


def history_of(aggregation: AggregationConfig, clients: dict[str, int], num_rounds: int) -> RunHistory:
    layout = Layout.of({"w": (4,)})
    experiment = line_experiment(aggregation)
    if aggregation.is_encoded:
        experiment = settle(experiment, clients)
    records = tuple(ClientRecord(client, "done") for client in sorted(clients))
    return RunHistory(
        experiment=experiment,
        data_description="points",
        data_fingerprint="points-1",
        is_synthetic=True,
        versions={"fedgdl": "1", "python": "3", "numpy": "2"},
        model=Parameters(layout),
        rounds=[RoundRecord(index, "done", None, None, 1.0, 0, 0, records) for index in range(1, num_rounds + 1)],
        status="done",
        protection=describe(experiment, FedAvg("num_examples"), layout, clients) if aggregation.is_encoded else None,
    )


def recorded(folder: Path, client_ids: list[str], num_rounds: int) -> AuditRecorder:
    recorder = AuditRecorder()
    recorder.open(folder / "audit")
    for round_index in range(1, num_rounds + 1):
        recorder.task_sent(round_index, "masked input", client_ids, 100, 16)
        for position, client_id in enumerate(client_ids):
            recorder.frame_arrived(1, b"x" * (100 + position))
            recorder.payload_arrived(round_index, "masked input", client_id, b"x")
        sums = CohortSums({"weight": np.array([30.0])}, len(client_ids), {"train_loss": 0.25})
        recorder.traffic.rounds[round_index].opened = OpenedSum.of(sums)
    recorder.close()
    return recorder


PASSED = Check("bytes", "Is it so?", is_alarm=False, found="no", p_value=0.5)
FAILED = Check("masks", "Is it so?", is_alarm=True, found="yes", p_value=1e-20, uses_truth=True)
UNKNOWN = Check("serial", "Is it so?", is_alarm=None, found="too few elements")


def document_of(
    tmp_path: Path, names: list[str], checks: list[Check], aggregation: AggregationConfig = SECAGG, num_rounds: int = 1
) -> dict[str, Any]:
    history = history_of(aggregation, dict.fromkeys(names, 10), num_rounds)
    return audit_document(history, recorded(tmp_path, names, num_rounds), Evidence(checks=checks))


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [([PASSED, UNKNOWN], "passed"), ([PASSED, FAILED], "failed"), ([UNKNOWN], "not tested"), ([], "not tested")],
)
def test_a_single_alarm_fails_a_protected_run(checks: list[Check], verdict: str) -> None:
    assert verdict_of(Evidence(checks=checks), SECAGG) == verdict
    assert verdict_of(Evidence(checks=checks), AggregationConfig(exact=True)) == "unprotected"


def test_the_page_needs_nothing_from_elsewhere_and_holds_its_pictures(tmp_path: Path) -> None:
    page = run_audited(tmp_path / "run", line_experiment(), line_task(ann=40, ben=50, cat=60)).page
    outline = Outline(page)
    pictures = [attributes["src"] or "" for tag, attributes in outline.elements if tag == "img"]
    assert len(pictures) == 3
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in pictures)
    assert all(attributes["alt"] for tag, attributes in outline.elements if tag == "img")
    assert not {"script", "link", "iframe"} & {tag for tag, _ in outline.elements}
    assert "http" not in page
    for heading in ("Threat model", "Checks", "Rounds", "What is not protected"):
        assert heading in outline.text


@pytest.mark.parametrize("aggregation", [SECAGG, AggregationConfig()], ids=["secagg", "plain"])
@pytest.mark.parametrize("checks", [[PASSED], [FAILED], [UNKNOWN]], ids=["passed", "failed", "unknown"])
def test_names_are_text_and_no_markup(tmp_path: Path, aggregation: AggregationConfig, checks: list[Check]) -> None:
    names = ["<script>alert(1)</script>", "b & c", '"quoted"']
    document = document_of(tmp_path, names, checks, aggregation)
    outline = Outline(render_page(document, {}))
    assert "script" not in {tag for tag, _ in outline.elements}
    assert all(name in outline.text for name in names)


def test_of_large_cohorts_and_many_rounds_the_page_shows_some_and_the_json_all(tmp_path: Path) -> None:
    names = [f"client-{index:04}" for index in range(150)]
    document = document_of(tmp_path, names, [PASSED], num_rounds=13)
    outline = Outline(render_page(document, {}))
    assert len(document["rounds"]) == 13
    assert [len(stage["clients"]) for entry in document["rounds"] for stage in entry["stages"]] == [150] * 13
    assert "3 more rounds are in audit.json" in outline.words
    assert "Round 8:" in outline.words
    assert "Round 9:" not in outline.words
    assert "Round 13:" in outline.words
    assert "... and 138 more" in outline.words
    assert "most bytes" in outline.words
    assert outline.words.count("client-0149") == 10  # the one with the most bytes, once in each round shown
    assert "more clients in audit.json" in outline.words
    assert "neighbours" in outline.words  # the sparse graph's threat model
    spread = document["rounds"][0]["stages"][0]["client_bytes"]
    assert spread == {"least": 100, "median": 174.5, "most": 249}


def test_the_threat_model_is_that_of_the_run(tmp_path: Path) -> None:
    names = [f"client-{index}" for index in range(10)]
    signed = Outline(render_page(document_of(tmp_path / "1", names, [PASSED]), {})).words
    assert "Up to 5 of the 10 clients" in signed  # seven survivors at least, and two of them honest
    assert "With a cohort of 10, 9 clients that help the coordinator read the last one's update" in signed
    assert "caught, as long as no more than 3 of the clients help it" in signed  # twice the threshold of 7, less 10
    for topic in ("The sum itself", "poisoning", "denial of service", "side channels", "that machine's owner"):
        assert topic in signed
    many = [f"client-{index}" for index in range(120)]
    sparse = Outline(render_page(document_of(tmp_path / "5", many, [PASSED]), {})).words
    # Of the 25 that hold shares of a client 13 open one; two lists of 13 signers each have one signer in common.
    assert "caught, as long as none of a client's 24 neighbours help it" in sparse
    unsigned = AggregationConfig("secagg", consistency=False)
    assert "is not caught here" in Outline(render_page(document_of(tmp_path / "2", names, [], unsigned), {})).words
    plain = Outline(render_page(document_of(tmp_path / "3", names, [], AggregationConfig()), {})).words
    assert "Nothing is protected from the coordinator" in plain
    assert "threshold" not in plain
    exact = AggregationConfig(exact=True)
    assert "Fixed point hides nothing" in Outline(render_page(document_of(tmp_path / "4", names, [], exact), {})).words


def test_two_clients_read_each_other_and_a_lying_coordinator_has_no_more_helpers_than_an_honest_one() -> None:
    def words(num_clients: int) -> str:
        aggregation = AggregationConfig("secagg", min_cohort=2)
        counts = {f"client-{index}": 10 for index in range(num_clients)}
        experiment = settle(Experiment("x", "spam", TrainingConfig(0.1), aggregation=aggregation), counts)
        protection = describe(experiment, FedAvg("num_examples"), Layout.of({"w": (2,)}), counts)
        return " ".join(text for section in threat_model(experiment, protection) for text in section.statements)

    assert "From the other clients: the same" not in words(2)
    assert "the sum less its own update is the other one's" in words(2)
    assert "With a cohort of 2, one that helps the coordinator reads the last one's update" in words(2)
    assert "None of the 2 clients" in words(2)
    assert "as long as none of the clients help it" in words(2)
    assert "From the other clients: the same" in words(3)
    assert "Up to 1 of the 3 clients" in words(3)
    assert "as long as no more than 1 of the clients help it" in words(3)


def test_an_incomplete_record_is_told(tmp_path: Path) -> None:
    document = document_of(tmp_path, ["a", "b", "c"], [PASSED])
    document["received"] |= {"problem": "received.bin is incomplete: no room", "num_unreadable_vectors": 2}
    words = Outline(render_page(document, {})).words
    assert "The record is incomplete: received.bin is incomplete: no room" in words
    assert "2 answers held no update" in words


def test_pictures_are_png_whatever_there_is_to_show(tmp_path: Path) -> None:
    one = Correlation(1, "ann", 0.01, 100)
    pictures = [
        draw_bytes(np.full((3, 256), 7), ("a", "b", "c")),
        draw_bytes(np.eye(1, 256, dtype=np.int64), ("a",)),
        draw_correlations([one]),
        draw_correlations([one, replace(one, value=1.0)] * 4_000),
        draw_stages(document_of(tmp_path, ["a", "b", "c"], [])["rounds"]),
        draw_stages([]),
    ]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
