"""The code of the workflow: a folder per stage, beside rules/<stage>.smk, and folders that several stages share.

docs/code.md is the map.
"""
