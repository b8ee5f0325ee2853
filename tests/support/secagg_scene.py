"""A round that has come to a stage, in which one client, Bob, is told this or that."""

import pytest
from secagg_rounds import Cohort

from clients.protection.secagg import SecaggProtection
from fedgdl.errors import ProtocolError
from server.aggregation.secagg import SecaggCohort

BOB, SUE = "client-0001", "client-0002"
"""Who is asked, and another."""


class Scene:
    """A round that has come to a stage, and what the coordinator would say to Bob there."""

    def __init__(self, stage: str, size: int = 5, *, seed: str = "", **settings: object) -> None:
        self.cohort = Cohort(size, settings=settings, seed=seed)
        self.a_round: SecaggCohort = self.cohort.open()
        self.stage = stage
        self.sent: dict[str, dict[str, bytes]] = {}
        participants = self.cohort.client_ids
        for each in self.a_round.stages:
            if each.name == stage:
                break
            participants, self.sent[each.name], refusals = self.cohort.play_stage(self.a_round, each.name, participants)
            assert not refusals
        self.a_round.begin(stage, participants)

    @property
    def bob(self) -> SecaggProtection:
        return self.cohort.protections[BOB]

    def common(self) -> bytes:
        return self.a_round.common(self.stage)

    def message(self) -> bytes:
        return self.a_round.message(self.stage, BOB)

    def ask(self, *, common: bytes | None = None, message: bytes | None = None) -> bytes:
        said = self.common() if common is None else common, self.message() if message is None else message
        return self.cohort.ask(self.stage, BOB, *said)

    def refuses(self, caught: str, *, common: bytes | None = None, message: bytes | None = None) -> None:
        with pytest.raises(ProtocolError, match=caught):
            self.ask(common=common, message=message)
