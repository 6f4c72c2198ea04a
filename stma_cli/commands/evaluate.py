"""`stma evaluate`."""


def evaluate() -> None:
    """(under construction)"""
    raise NotImplementedError
