"""The commands of vinext-worker, and the local runtime they start."""
