"""`stma bench`: measure decoding, model and writing on this machine."""
