"""`make bench-operator`: the operator as a process beside a real API server, with up to thousands of voices."""
