"""Names of what stma itself writes into a folder of results, beside the masks."""

REPORT_FILE = "report.json"
NAMES_FILE = "names.json"
SOFT_FILE = "soft.json"  # in a folder of soft masks
OVERLAY_FILE = "overlay.mp4"  # of a clip of a batch
BATCH_FILE = "batch.json"  # beside the results, so no clip can have this name

# While a run is under way, and after it was interrupted:
ROWS_FILE = f".{REPORT_FILE}.rows.part"
CHECKPOINT_FILE = ".stma-checkpoint"
BACKWARD_FOLDER = ".stma-backward"  # predictions of the backward pass
LOCK_FILE = ".stma-segment.lock"
BATCH_LOCK_FILE = ".stma-batch.lock"
TRAIN_LOCK_FILE = ".stma-train.lock"  # in the folder of a training run

STATES_FOLDER = ".stma-states"  # memory states for corrections
