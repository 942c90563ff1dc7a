"""The saynote daemon: looks, decides and says which banknote is in the hand."""

__version__ = "0.1.0"
