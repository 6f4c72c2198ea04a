"""`stma overlay`."""


def overlay() -> None:
    """(under construction)"""
    raise NotImplementedError
