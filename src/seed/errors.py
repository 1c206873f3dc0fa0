"""What can be wrong with a build's output, or with where it is kept."""

from cache.errors import VinextWorkerError


class SeedError(VinextWorkerError):
    """A build's pages cannot be brought into a cache."""


class ManifestError(SeedError):
    """A manifest or index is not what vinext or `vinext-worker copy` writes."""


class AssetsError(SeedError):
    """The assets did not answer, or answered with something other than a file or a 404."""
