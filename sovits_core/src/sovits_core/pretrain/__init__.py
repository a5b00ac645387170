"""Train a tiny base from synthetic and free speech; needs the `pretrain` extra and Debian's flite."""
