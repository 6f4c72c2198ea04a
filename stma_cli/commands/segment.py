"""`stma segment`."""


def segment() -> None:
    """(under construction)"""
    raise NotImplementedError
