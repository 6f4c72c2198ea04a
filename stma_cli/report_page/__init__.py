"""`stma report`: one HTML page that says how a run went and where to look."""
