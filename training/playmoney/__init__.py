"""Owns the play crowns (XTS): what they look like and what they may lie on, all drawn by program.

Must not know cameras, models or data sets: it yields pictures, and whoever trains or replays decides their use.
"""
