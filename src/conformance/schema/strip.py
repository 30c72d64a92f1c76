#!/usr/bin/env python3
"""Makes the schemas in this folder: what the official ones (github.com/modelcontextprotocol/modelcontextprotocol,
schema/REVISION/schema.json; Apache-2.0, older parts MIT) demand of messages, without titles, descriptions, examples and
defaults.

    strip.py FOLDER    where FOLDER/REVISION.json is each revision's schema
"""
import json
import pathlib
import sys

ANNOTATIONS = {"description", "title", "examples", "default"}


def strip(value, names=False):
    """`value` without annotations; `names` where the members are names of properties or definitions."""
    if isinstance(value, list):
        return [strip(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if names or k not in ANNOTATIONS}
    return {k: strip(v, not names and k in ("properties", "$defs", "definitions")) for k, v in kept.items()}


here = pathlib.Path(__file__).parent
for source in sorted(pathlib.Path(sys.argv[1]).glob("????-??-??.json")):
    stripped = strip(json.loads(source.read_text()))
    (here / source.name).write_text(json.dumps(stripped, separators=(",", ":")) + "\n")
