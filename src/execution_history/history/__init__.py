"""The application service: what page, routes, command line and callers use, and what stands behind it."""
