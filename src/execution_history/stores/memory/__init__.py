"""The store that keeps everything in memory: the executable specification of the contract."""
