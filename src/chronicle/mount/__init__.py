"""The workspace as a FUSE filesystem: file data by the kernel, names by one thread here, changes to the recorder."""
