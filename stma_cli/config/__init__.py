"""Options that are not typed one by one: from a stma.toml, or many in one line."""
