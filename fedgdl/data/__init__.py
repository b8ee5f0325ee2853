"""Data sets: finding and fetching them, splitting them into clients, and their prepared copies."""

from fedgdl.data.dataset import ArrayExamples, BagExamples, Batch, Examples, FederatedDataset
from fedgdl.data.digits import Digits, load_digits
from fedgdl.data.prepared import PreparedDataset, load_dataset
from fedgdl.data.registry import find_source, list_sources
from fedgdl.data.reviews import Reviews, load_reviews
from fedgdl.data.stories import Stories, book_sentences, load_stories
from fedgdl.data.text import Vocabulary, distinct_tokens
from fedgdl.data.verse import Verse, load_verse, speeches

__all__ = [
    "ArrayExamples",
    "BagExamples",
    "Batch",
    "Digits",
    "Examples",
    "FederatedDataset",
    "PreparedDataset",
    "Reviews",
    "Stories",
    "Verse",
    "Vocabulary",
    "book_sentences",
    "distinct_tokens",
    "find_source",
    "list_sources",
    "load_dataset",
    "load_digits",
    "load_reviews",
    "load_stories",
    "load_verse",
    "speeches",
]
