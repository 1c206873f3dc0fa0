"""Building, copying, populating, deploying and checking, in an order that never leaves the live app without its pages."""
