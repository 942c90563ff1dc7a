"""The look at a folder of photographs before any training."""
