"""How fast the networks are on this machine, and how far the graphs are from them: `sovits-core bench`."""
