"""Snapshot of the server's interface, so that every change of it shows up in a review.

`MINIMAX_AL_UPDATE=1 pytest tests/web/test_api.py` writes it anew.
"""

import os
from pathlib import Path

import pytest

SNAPSHOT = Path(__file__).with_name("api.txt")


def kind_of(schema):
    """A schema in a few words, the same for every version of FastAPI and pydantic."""
    kinds = {
        "$ref": lambda name: name.rpartition("/")[2],
        "anyOf": lambda choices: " | ".join(map(kind_of, choices)),
        "enum": lambda values: " | ".join(map(repr, values)),
        "const": repr,
        "prefixItems": lambda parts: f"[{', '.join(map(kind_of, parts))}]",
        "items": lambda one: f"[{kind_of(one)}, ...]",
        "format": str,
    }
    key = next((key for key in kinds if key in schema), None)
    if key is not None:
        return kinds[key](schema[key])
    if isinstance(schema.get("additionalProperties"), dict):
        return f"{{str: {kind_of(schema['additionalProperties'])}}}"
    return schema.get("type", "any")


def described(description):
    """All routes and all objects of an OpenAPI description, one line each."""
    for path, route in sorted(description["paths"].items()):
        for method, operation in sorted(route.items()):
            taken = [
                f"{one['name']}{'' if one['required'] else '?'}: {kind_of(one['schema'])}"
                for one in operation.get("parameters", [])
            ]
            bodies = operation.get("requestBody", {}).get("content", {})
            taken += [f"body: {kind_of(body['schema'])} as {media}" for media, body in bodies.items()]
            answers = [
                f"{status} {' or '.join(kind_of(body['schema']) + ' as ' + media for media, body in content)}".strip()
                for status, answer in sorted(operation["responses"].items())
                for content in [answer.get("content", {}).items()]
                if status != "422" or content
            ]
            yield f"{method.upper()} {path} ({', '.join(taken)})"
            yield from (f"    {answer}" for answer in answers if not answer.startswith("4") and "503" not in answer)
            refusals = sorted(status for status in operation["responses"] if status >= "400")
            yield f"    refused: {', '.join(refusals)}"
    for name, schema in sorted(description["components"]["schemas"].items()):
        if name in {"HTTPValidationError", "ValidationError"}:
            continue
        required = schema.get("required", [])
        fields = [
            f"{field}{'' if field in required else '?'}: {kind_of(one)}"
            for field, one in schema.get("properties", {}).items()
        ]
        yield f"{name} {{{'; '.join(fields)}}}"


def test_the_interface_is_that_of_the_snapshot(onlooker):
    found = "\n".join(described(onlooker.app.openapi())) + "\n"
    if os.environ.get("MINIMAX_AL_UPDATE"):
        SNAPSHOT.write_text(found)
        pytest.skip("the snapshot was written anew")
    assert found.splitlines() == SNAPSHOT.read_text().splitlines()
