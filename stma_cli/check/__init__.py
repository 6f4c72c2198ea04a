"""What is wrong with a video and its masks, before any model runs; repairs what can be repaired safely."""
