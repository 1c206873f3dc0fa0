"""How a request is answered: from the cache, by the page handler, or by both."""
