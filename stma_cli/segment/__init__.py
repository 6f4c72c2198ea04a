"""`stma segment`: the objects marked on some frames, followed through a video; what is kept to go on or correct."""
