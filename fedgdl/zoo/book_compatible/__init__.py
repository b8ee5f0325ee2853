"""The book's own code paths with their defects, on purpose: only here are its wrong digits reproduced."""
