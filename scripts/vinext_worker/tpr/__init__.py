"""Traffic-aware pre-rendering: the pages that visitors ask for most are in the cache before the build goes live."""
