"""The world the sandbox shows: pure in (seed, now, scale, faults), every amount an integer number of cents."""
