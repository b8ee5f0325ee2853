"""Examples to read, run and copy: a script and a notebook."""
