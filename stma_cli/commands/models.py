"""`stma models`."""


def models() -> None:
    """(under construction)"""
    raise NotImplementedError
