"""The simulated clients that a worker hosts: a function from client id to client, never a list of clients.

Example:
    >>> from fedgdl.data import BagExamples
    >>> class Mails:
    ...     def client(self, client_id):
    ...         return BagExamples.of([[3]], labels=[0])
    >>> Population(Mails()).client("bob").client_id
    'bob'
"""

from typing import Any, Protocol

from clients.client import Client
from fedgdl.data import Examples
from fedgdl.errors import ClientError, DataError

__all__ = ["Population"]


class _ClientData(Protocol):
    def client(self, client_id: str) -> Examples[Any]: ...


class Population:
    """Makes clients on demand.

    Args:
        data: gives a client's own examples; a `FederatedDataset`.
    """

    def __init__(self, data: _ClientData) -> None:
        self._data = data

    def client(self, client_id: str) -> Client:
        """Returns one client.

        Raises:
            ClientError: the data knows no such client.
        """
        try:
            return Client(client_id, self._data.client(client_id))
        except DataError as error:
            raise ClientError(client_id, str(error)) from error
