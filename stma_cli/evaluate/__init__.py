"""`stma evaluate` and `stma validate`: scores against ground truth, and how they are shown."""
