"""The commands of vinext-worker, and the local runtime that they start."""
