"""The figures: this Worker and vinext's own, in turn, on one machine in one run."""
