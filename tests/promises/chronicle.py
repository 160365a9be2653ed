"""What the versioned workspace promises."""

SOURCE = "Chronicle"

PROMISES: dict[str, dict[str, str]] = {
    "recording": {
        "CHR-EVERY-VERSION": "Every version of every file is kept, whoever wrote it and however fast versions follow each other.",
        "CHR-NO-GAPS": "Iterations count over the workspace without gaps, in the order in which changes happened.",
        "CHR-EQUAL-BYTES": "Writing bytes equal to the newest version makes no iteration.",
        "CHR-OPEN-FILES": "A file that stays open is recorded at the latest a second after its last write, and at fsync.",
        "CHR-EXCLUDED": "Excluded paths work normally and have no history.",
        "CHR-SYNC": "With durability `sync`, a change is on disk in the history before the call that ended it returns.",
        "CHR-CRASH": "A crash of the filesystem process loses nothing that was noted; what was recorded stays.",
        "CHR-FULL-DISK": "A full disk is an error to the writer and loses nothing recorded.",
    },
    "content": {
        "CHR-DEDUPLICATED": "Equal content is stored once, over all workspaces of a pool.",
        "CHR-CHUNKED": "A changed line in a large file costs about one chunk.",
        "CHR-VERIFIED": "Every read is verified: damage is healed from the next tier or is an error, never wrong bytes.",
        "CHR-REMOTE": "Contents go to S3 in the background, resume after a crash, and come back when they are missing here.",
        "CHR-GC-SAFE": "Collection never takes what a committed version needs, also while others write.",
        "CHR-RETENTION": "A retention policy keeps what it says and gives up the rest; a dry run only tells.",
        "CHR-QUOTA": "A workspace is not larger than its quota; statvfs shows it.",
    },
    "history": {
        "CHR-HISTORY-EXACT": "Every past moment of the tree can be listed and read back exactly.",
        "CHR-FOLLOWS-RENAMES": "A file's history goes on through renames, also of directories above it, and through removal and return.",
        "CHR-RESTORE": "A restore moves only what differs, is recorded, and can be undone.",
        "CHR-FORK": "A fork shares contents and history, and neither notices the other.",
        "CHR-FSCK-CLEAN": "After everything the suite does, fsck finds nothing.",
        "CHR-FSCK-FINDS": "fsck finds each kind of damage.",
        "CHR-EXCHANGE": "A workspace goes out as tar and as git, and comes in from them; hostile archives are refused.",
    },
    "filesystem": {
        "CHR-POSIX": "System calls on the mount answer as on the host's own file system, but for a reasoned list.",
        "CHR-PROGRAMS": "git, npm, bun, pip, uv, SQLite, make, tar, rsync, watchers, locks and mappings work unchanged.",
        "CHR-FALLBACK": "Without passthrough, or without FUSE, the same history is kept with what the host offers.",
        "CHR-TAKEOVER": "A filesystem process that dies is replaced within a second; open work notices at most one error.",
        "CHR-DEAD-MOUNTS": "A dead mount is cleaned up at the next start, and none is left behind.",
        "CHR-MAGIC": "The files in `.chronicle/` tell and restore from any shell.",
    },
    "podium": {
        "CHR-AGENT-FILES": "Files of an agent are listed, read, written and restored over REST, awake or asleep.",
        "CHR-AGENT-TURNS": "An iteration names the turn that made it; a turn ends with a checkpoint of state, journal and files.",
        "CHR-AGENT-CHANGES": "Changes of a turn's files are events of its stream, in order.",
        "CHR-AGENT-ESCAPES": "No path or symlink leads out of a workspace.",
        "CHR-AGENT-SELF": "An agent checkpoints, asks and restores its own workspace.",
        "CHR-AGENT-FORK": "A fork of an agent has state, conversation and files of a moment, and leaves the agent undisturbed.",
        "CHR-AGENT-REWIND": "A rewind takes state, conversation and files back, is recorded, and can be undone.",
        "CHR-AGENT-BACKEND": "Which backend keeps a workspace is said; one that was demanded and can't be had is an error.",
    },
}
