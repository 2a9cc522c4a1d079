"""The language server: what the other modules know, in the terms of the Language Server Protocol. The only importer of
pygls."""

from __future__ import annotations

import logging
import os
import sys
from functools import lru_cache
from importlib.metadata import version

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from dslc.editor import completion, hover, symbols
from dslc.editor.analysis import Analysis, analyze
from dslc.editor.sizes import sizes_by_line
from dslc.language.diagnostics import DataError, Diagnostic, SpecError
from dslc.language.format import format_source
from dslc.language.source import Source, Span

server = LanguageServer("dslc", version("dslc"))
logging.getLogger("pygls.protocol.json_rpc").addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], JsonRpcInvalidParams))
)
"""A refusal is an answer to the editor; it is no failure to log."""
analyze_cached = lru_cache(maxsize=16)(analyze)
KINDS = {
    "keyword": types.CompletionItemKind.Keyword,
    "setting": types.CompletionItemKind.Property,
    "thing": types.CompletionItemKind.Function,
    "argument": types.CompletionItemKind.Field,
    "name": types.CompletionItemKind.Variable,
    "word": types.CompletionItemKind.Value,
}


def serve() -> None:
    """Answers an editor on standard input and output until it leaves. pygls closes what it writes to at the end, so it
    gets a file of its own."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
        server.start_io(sys.stdin.buffer, output)


def _analysis(uri: str) -> Analysis:
    document = server.workspace.get_text_document(uri)
    return analyze_cached(document.source.replace("\r\n", "\n"), document.filename or "spec.net")


# ------------------------------------------------------------------------------------------------ places


def _position(source: Source, offset: int) -> types.Position:
    """Line and column from 0; columns count units of UTF-16."""
    line, column = source.position(offset)
    before = source.line(line)[: column - 1]
    return types.Position(line - 1, len(before.encode("utf-16-le")) // 2)


def _range(span: Span) -> types.Range:
    return types.Range(_position(span.source, span.start), _position(span.source, span.end))


def _offset(source: Source, position: types.Position) -> int:
    if position.line >= len(source.line_starts):
        return len(source.text)
    line = source.line(position.line + 1)
    before = line.encode("utf-16-le")[: 2 * position.character].decode("utf-16-le", errors="ignore")
    return source.line_starts[position.line] + len(before)


# ------------------------------------------------------------------------------------------------ diagnostics


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def _opened(params: types.DidOpenTextDocumentParams) -> None:
    _publish(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def _changed(params: types.DidChangeTextDocumentParams) -> None:
    _publish(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def _closed(params: types.DidCloseTextDocumentParams) -> None:
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(params.text_document.uri, []))


def _publish(uri: str) -> None:
    found = [_diagnostic(d) for d in _analysis(uri).diagnostics]
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found))


def _diagnostic(found: Diagnostic) -> types.Diagnostic:
    """The words of the command line."""
    title = f"{found.title}: {found.label}" if found.label else found.title
    error = found.severity == "error"
    return types.Diagnostic(
        range=_range(found.span),
        message="\n".join([title, *(note for note in found.notes if note)]),
        severity=types.DiagnosticSeverity.Error if error else types.DiagnosticSeverity.Information,
        code=found.code,
        source="dslc",
    )


# ------------------------------------------------------------------------------------------------ questions


@server.feature(types.TEXT_DOCUMENT_HOVER)
def _hover(params: types.HoverParams) -> types.Hover | None:
    analysis = _analysis(params.text_document.uri)
    text = hover.hover(analysis, _offset(analysis.source, params.position))
    return None if text is None else types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text))


@server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["(", "=", ">", "."]))
def _complete(params: types.CompletionParams) -> list[types.CompletionItem]:
    source = _analysis(params.text_document.uri).source
    proposals = completion.complete(source.text, _offset(source, params.position))
    return [
        types.CompletionItem(
            p.text, kind=KINDS[p.kind], detail=p.detail, documentation=p.about, sort_text=f"{place:03}"
        )
        for place, p in enumerate(proposals)
    ]


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def _definition(params: types.DefinitionParams) -> types.Location | None:
    symbol = _symbol(params)
    return None if symbol is None else types.Location(params.text_document.uri, _range(symbol.span))


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
def _references(params: types.ReferenceParams) -> list[types.Location]:
    symbol = _symbol(params)
    if symbol is None:
        return []
    spans = [symbol.span, *symbol.uses] if params.context.include_declaration else symbol.uses
    return [types.Location(params.text_document.uri, _range(span)) for span in spans]


@server.feature(types.TEXT_DOCUMENT_RENAME)
def _rename(params: types.RenameParams) -> types.WorkspaceEdit:
    analysis = _analysis(params.text_document.uri)
    if analysis.program is None:
        raise JsonRpcInvalidParams("a file that does not parse has no names yet: mend it first")
    try:
        spans = symbols.rename(analysis.program, _offset(analysis.source, params.position), params.new_name)
    except DataError as error:
        raise JsonRpcInvalidParams(str(error)) from None
    edits = [types.TextEdit(_range(span), params.new_name) for span in spans]
    return types.WorkspaceEdit({params.text_document.uri: edits})


def _symbol(params: types.DefinitionParams | types.ReferenceParams) -> symbols.Symbol | None:
    analysis = _analysis(params.text_document.uri)
    if analysis.program is None:
        return None
    return symbols.symbol_at(analysis.program, _offset(analysis.source, params.position))


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def _format(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    """The whole text anew; nothing for a text that does not parse, which its diagnostics tell."""
    source = _analysis(params.text_document.uri).source
    try:
        text = format_source(source)
    except SpecError:
        return []
    return [] if text == source.text else [types.TextEdit(_range(Span(source, 0, len(source.text))), text)]


@server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
def _inlays(params: types.InlayHintParams) -> list[types.InlayHint]:
    analysis = _analysis(params.text_document.uri)
    if analysis.network is None:
        return []
    hints = []
    for line, size in sorted(sizes_by_line(analysis.network).items()):
        if params.range.start.line <= line - 1 <= params.range.end.line:
            code = analysis.source.line(line).split("#")[0].rstrip()
            end = _position(analysis.source, analysis.source.line_starts[line - 1] + len(code))
            hints.append(types.InlayHint(end, size, kind=types.InlayHintKind.Type, padding_left=True))
    return hints
