"""`darkroom measure`: how long a function takes to start and to answer on this machine, for `darkroom simulate`."""
