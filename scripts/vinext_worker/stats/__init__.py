"""How the cache of a deployed Worker did in the last hours."""
