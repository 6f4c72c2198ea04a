"""Several values in one option, such as "real,crossing"."""


def listed(text: str) -> tuple[str, ...]:
    """The words of a text with commas between; empty ones do not count."""
    return tuple(word for word in map(str.strip, text.split(",")) if word)
