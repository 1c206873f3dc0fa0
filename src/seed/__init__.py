"""How a build's pre-rendered pages get into a cache."""
