"""Training and calibration as the tool runs them: locked, stopped by signals, told of line by line."""
