"""`stma batch`: many clips through one or several workers; a folder of results for each, mirrored from the clips."""
