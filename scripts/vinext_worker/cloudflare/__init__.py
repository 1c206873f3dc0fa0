"""Cloudflare: its REST and GraphQL interfaces, wrangler's configuration, and the deployed Worker's own endpoints."""
