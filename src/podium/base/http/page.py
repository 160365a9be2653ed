"""The OpenAPI document as one readable page: no script, nothing loaded from elsewhere."""

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:.7rem;overflow:auto;border-radius:6px}
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}.m{display:inline-block;min-width:4.2rem;font-weight:700}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0}
tr{border-top:1px solid var(--line)}
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """The page."""
    info = document["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{_text(info['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{_text(info['title'])} <small>{_text(info['version'])}</small></h1>",
        f"<p>{_text(info['description'])} The same as data: <a href='openapi.json'>openapi.json</a>.</p>",
    ]
    for tag, operations in _by_tag(document).items():
        parts.append(f"<h2>{_text(tag)}</h2>")
        parts.extend(_operation(*operation) for operation in operations)
    parts.append("<h2 id=schemas>schemas</h2>")
    parts.extend(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return "".join(parts)


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
    found: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return found


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    head = f"<span class=m>{method}</span><code>{_text(path)}</code> {_text(operation['summary'])}"
    body = [f"<p>{_text(operation.get('description', ''))}</p>"]
    if operation["parameters"]:
        body.append(f"<table>{''.join(map(_parameter, operation['parameters']))}</table>")
    if "requestBody" in operation:
        body.append(f"<p><b>Body</b> {''.join(_contents(operation['requestBody']['content']))}</p>")
    rows = "".join(_answer(status, answer) for status, answer in operation["responses"].items())
    return f"<details id='{_text(operation['operationId'])}'><summary>{head}</summary>{''.join(body)}<table>{rows}</table></details>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    name = f"<code>{_text(parameter['name'])}</code>{'' if not parameter['required'] else ' *'}"
    kind = _text(json.dumps(parameter["schema"]))
    return f"<tr><td>{name}<td>{parameter['in']}<td><code>{kind}</code><td>{_text(parameter.get('description', ''))}"


def _answer(status: str, answer: Mapping[str, Any]) -> str:
    return (
        f"<tr><td><b>{status}</b><td>{_text(answer['description'])}<td>{''.join(_contents(answer.get('content', {})))}"
    )


def _contents(content: Mapping[str, Any]) -> Iterator[str]:
    for media, described in content.items():
        reference = described["schema"].get("$ref", "")
        name = reference.rpartition("/")[2]
        link = f" <a href='#{_text(name)}'>{_text(name)}</a>" if name else ""
        yield f"<code>{_text(media)}</code>{link} "
        if "example" in described:
            yield f"<pre>{_text(json.dumps(described['example'], indent=2, ensure_ascii=False))}</pre>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    shown = _text(json.dumps(schema, indent=2, ensure_ascii=False))
    return f"<details id='{_text(name)}'><summary><code>{_text(name)}</code></summary><pre>{shown}</pre></details>"


def _text(value: str) -> str:
    return html.escape(value, quote=True)
