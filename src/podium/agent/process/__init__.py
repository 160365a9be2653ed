"""What runs around an agent's code inside its process: started by path, forked from a template, closed in by steps.

Stands on the standard library alone until the SDK is loaded; nothing here is for authors.
"""
