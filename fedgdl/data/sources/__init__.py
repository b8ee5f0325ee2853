"""The data sets themselves, one file each; `fedgdl.data.registry` lists them."""

__all__: list[str] = []
