"""The embedded upstream, over its own socket."""
