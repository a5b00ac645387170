"""`make gpu-check`: training on a GPU, measured at the official sizes; the same on tiny sizes without one."""
