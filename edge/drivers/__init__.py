"""The only place where a vendor package is imported; each module here serves one port of `edge.ports`."""
