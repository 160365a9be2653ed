"""The whole platform on this host: what `podium up` starts, watches and stops."""
