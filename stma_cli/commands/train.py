"""`stma train`."""


def train() -> None:
    """(under construction)"""
    raise NotImplementedError
