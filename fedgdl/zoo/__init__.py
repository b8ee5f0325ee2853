"""The experiments of the book, chapters 3 to 15, each a recipe that runs by name and is held to its numbers."""
