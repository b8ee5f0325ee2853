import pytest
from federation import make_data

from clients.population import Population
from fedgdl.errors import ClientError


def test_a_client_comes_with_its_own_examples() -> None:
    data = make_data({"ann": 4, "ben": 6})
    client = Population(data).client("ben")
    assert client.client_id == "ben"
    assert client.examples is data.shards["ben"]


def test_an_unknown_client_is_its_own_error() -> None:
    with pytest.raises(ClientError, match="client 'zoe': there is no client 'zoe'") as caught:
        Population(make_data({"ann": 4})).client("zoe")
    assert caught.value.client_id == "zoe"
