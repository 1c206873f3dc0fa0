"""Cloudflare's REST and GraphQL interfaces, as much of them as the commands need."""
