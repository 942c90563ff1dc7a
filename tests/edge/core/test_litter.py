from __future__ import annotations

import pytest

from edge.core.litter import is_litter


@pytest.mark.parametrize(
    "name",
    [
        *(".DS_Store", "._IMG_0001.jpg", ".thumbnails", ".stfolder", ".Trash-1000", ".git", ".nomedia", ".@__thumb"),
        *("Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "$RECYCLE.BIN", "RECYCLER"),
        *(
            "System Volume Information",
            "__MACOSX",
            "Icon\r",
            "@eaDir",
            "#recycle",
            "@Recycle",
            "lost+found",
            "LOST.DIR",
        ),
        *("~$notes.docx", "Picasa.ini", "Network Trash Folder"),
    ],
)
def test_what_computers_leave_is_known(name: str) -> None:
    assert is_litter(name)


@pytest.mark.parametrize(
    "name", ["10", "5_1", "0.5", "background", "IMG_0001.jpg", "notes.txt", "thumbs.jpg", "#5", "@"]
)
def test_what_people_name_is_theirs(name: str) -> None:
    assert not is_litter(name)
