"""httpx transports that record the runs that pass them."""
