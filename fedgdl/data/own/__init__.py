"""Data of your own as a federation: from arrays, a CSV file, a folder of texts, or a table with columns."""

from fedgdl.data.own.arrays import from_arrays
from fedgdl.data.own.csv_file import from_csv
from fedgdl.data.own.dataset import OwnDataset
from fedgdl.data.own.table import Table, from_table
from fedgdl.data.own.text_folder import from_text_folder

__all__ = ["OwnDataset", "Table", "from_arrays", "from_csv", "from_table", "from_text_folder"]
