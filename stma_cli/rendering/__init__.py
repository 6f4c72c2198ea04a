"""Pictures from frames and masks: styles, and the files that take them."""
