"""Processes: a supervisor that mounts, and one forked worker for each mount.

The supervisor keeps the connection to the kernel (`/dev/fuse`) of each mount, so that a worker that dies is replaced and the mount lives.
"""
