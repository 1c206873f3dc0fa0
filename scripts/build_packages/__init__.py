"""The packages that are published, built from this repository's sources: `./scripts/build-packages`."""
