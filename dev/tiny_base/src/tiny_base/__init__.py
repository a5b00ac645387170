"""Train a tiny base from synthetic and free speech; needs Debian's flite."""
