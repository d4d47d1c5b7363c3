"""What is in a directory, for comparing what two programs wrote."""

import pathlib


def tree(directory):
    """{relative path: bytes, None for a directory}"""
    root = pathlib.Path(directory)
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}
