"""The commands of `fedgdl`, one module each."""
