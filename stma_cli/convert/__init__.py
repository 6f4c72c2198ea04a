"""Masks of a whole clip from one annotation format to another, one frame at a time."""
