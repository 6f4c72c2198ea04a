"""Decode, model, what refines its predictions, and what writes them, all at the same time."""
