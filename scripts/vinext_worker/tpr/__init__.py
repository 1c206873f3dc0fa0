"""Traffic-aware pre-rendering: putting the most requested pages into the cache before the build goes live."""
