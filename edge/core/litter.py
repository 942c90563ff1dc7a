"""Owns the names of what computers put into folders by themselves; knows nothing of pictures."""

from __future__ import annotations

NAMES = frozenset(
    {
        # Windows
        *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "autorun.inf"),
        *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000"),
        # macOS; what else it makes begins with a dot
        *("__macosx", "icon\r", "network trash folder", "temporary items", "thevolumesettingsfolder"),
        # storage boxes, Linux, Android, Samba
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "~snapshot"),
        *("lost+found", "lost.dir", "__pycache__"),
        # programs for photographs
        *("picasa.ini", "zbthumbnail.info"),
    }
)


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is no person's: hidden, an index, a wastebasket, an office lock."""
    return name.startswith((".", "~$")) or name.casefold() in NAMES
