"""`make try`: from recordings to a served voice on this machine, with trainer and server and without a cluster."""
