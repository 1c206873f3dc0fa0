"""Setting a project up: what is there, what has to change for vinext-worker, and changing it."""
