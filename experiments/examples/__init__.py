"""Examples to read, run and copy: scripts and a notebook."""
