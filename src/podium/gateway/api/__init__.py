"""The public REST interface: one module per part, each a list of endpoints."""
