"""The operations of the FUSE protocol, grouped by what they are about."""
