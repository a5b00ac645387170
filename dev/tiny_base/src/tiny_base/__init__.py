"""Training of the tiny base from synthetic and free speech; needs Debian's flite."""
