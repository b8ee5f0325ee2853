"""Data sets: finding and fetching them, splitting them into clients, and their prepared copies."""

from fedgdl.data.dataset import BagExamples, Batch, Examples, FederatedDataset
from fedgdl.data.prepared import PreparedMail, load_mail
from fedgdl.data.registry import find_source, list_sources
from fedgdl.data.text import Vocabulary, distinct_tokens

__all__ = [
    "BagExamples",
    "Batch",
    "Examples",
    "FederatedDataset",
    "PreparedMail",
    "Vocabulary",
    "distinct_tokens",
    "find_source",
    "list_sources",
    "load_mail",
]
