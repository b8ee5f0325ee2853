"""Who can decrypt an encrypted aggregation, and what they let be opened.

Nothing that can decrypt is imported here: whoever only encrypts, or checks, gets along without.
"""
