"""What the values of a label map mean besides object ids: 0 is background."""

LARGEST_ID = 65535  # what a 16-bit PNG can hold
LEAVE = -1  # in a mask given for a frame: this pixel stays as predicted, whatever object it belongs to
