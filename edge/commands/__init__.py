"""What a person calls: one file a command, with `arguments(parser)` and `run(options)`.

No command knows another, and nothing but `edge.__main__` knows any of them.
"""
