"""``adain-rt weights``: listing, fetching and importing the weights of models."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_models.weights import spec, store
from adain_models.weights.fetch import Report, UnreachableError, fetch
from adain_models.weights.spec import ModelSpec
from adain_rt import contract
from adain_rt.cli.terminal import complain

__all__ = ["command"]

_BUNDLED, _PRESENT, _FETCHED, _ABSENT = "bundled", "present", "fetched, not imported", "not fetched"
_NO_CACHE = "no cache"  # there is no place for one, or this user may not look into it
_COLUMNS = ("name", "state", "graphs", "parameters", "licence", "summary")


@click.group("weights")
def command() -> None:
    """List, fetch and import the weights of models.

    \b
    Examples:
      adain-rt weights list
      adain-rt weights fetch vgg19
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_models(as_json: bool) -> None:
    """List the named models, and whether their weights are installed."""
    rows = [_describe_model(model) for model in spec.MODELS.values()]
    click.echo(json.dumps(rows, indent=2) if as_json else _format_table(rows))


@command.command("fetch")
@click.argument("name")
def fetch_model(name: str) -> None:
    """Download a model's weights.

    \b
    Examples:
      adain-rt weights fetch vgg19

    An interrupted download resumes. A proxy is taken from the environment (https_proxy). Converting the weights needs
    PyTorch: pip install 'adain-rt[export]'.
    """
    model, directory = spec.find(name), store.model_dir(name)
    if model.bundled:
        click.echo(f"{name} ships in the package; nothing to fetch")
    elif _describe_state(model) == _PRESENT:
        click.echo(f"{name} is already installed: {directory}")
    else:
        _import(_fetch_files(model), directory, model.architecture)
        click.echo(_describe_import(directory, name))


@command.command("path")
@click.argument("name")
def print_path(name: str) -> None:
    """Print the directory of a model.

    \b
    Examples:
      ls "$(adain-rt weights path lite)"
    """
    if _describe_state(spec.find(name)) not in (_BUNDLED, _PRESENT):
        raise AdainError(f"{name} is not installed; run `adain-rt weights fetch {name}`")
    click.echo(store.model_dir(name))


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", help="Named model that the weights belong to.")
@click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="Your own model directory.")
def import_files(files: tuple[Path, ...], model: str | None, output: Path | None) -> None:
    """Import weights from files.

    \b
    Examples:
      adain-rt weights import vgg_normalised.pth decoder.pth --model vgg19
      adain-rt weights import mine.safetensors -o my-model

    FILES are vgg_normalised.pth and decoder.pth of the public implementation (naoto0804/pytorch-AdaIN), or one
    .safetensors or .pth file with the weights of a whole network. Code in a .pth is never run.
    """
    directory, architecture = _choose_target(model, output)
    _import(files, directory, architecture)
    click.echo(_describe_import(directory, model or str(directory)))


def _choose_target(model: str | None, output: Path | None) -> tuple[Path, str | None]:
    """Return the directory to import to, and the architecture that the weights must be of."""
    if model is None and output is not None:
        return output, None
    if model is None or output is not None:
        raise click.UsageError("give either --model NAME or -o DIR")
    named = spec.find(model)
    if named.bundled:
        raise AdainError(f"{model} ships in the package and cannot be replaced; import into a directory with -o DIR")
    return store.model_dir(model), named.architecture


def _import(files: Sequence[Path], directory: Path, architecture: str | None) -> None:
    """Import weights. This alone loads PyTorch."""
    try:
        from adain_models.weights.importing import import_weights
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise AdainError(
            f"{' and '.join(map(str, files))}: converting the weights needs PyTorch; run "
            "`pip install 'adain-rt[export]'`, then run this again"
        ) from error
    import_weights(files, directory, architecture)


def _describe_import(directory: Path, model: str) -> str:
    return f"{directory}: imported; write the graphs with `adain-rt export --model {shlex.quote(model)}`"


def _downloads_dir(model: ModelSpec) -> Path:
    return store.cache_dir() / "downloads" / model.name


def _fetch_files(model: ModelSpec) -> list[Path]:
    """Download a model's files. If one is unreachable, the error lists all missing files for a download by hand."""
    paths: list[Path] = []
    try:
        for file in model.files:
            with _progress(file.name) as report:
                paths.append(fetch(file, _downloads_dir(model), report))
    except UnreachableError as error:
        raise UnreachableError(error.reason, model.files[len(paths) :], _downloads_dir(model)) from error
    return paths


@contextmanager
def _progress(label: str) -> Iterator[Report]:
    """Yield a callback that draws a progress bar on stderr, if stderr is a terminal."""
    with ExitStack() as bars:
        bar = None

        def report(done: int, total: int | None) -> None:
            nonlocal bar
            if bar is None or done < bar.pos:  # the download starts, or starts again
                bar = bars.enter_context(click.progressbar(length=1, label=label, file=sys.stderr))
            bar.length = total
            bar.update(done - bar.pos)

        yield report if sys.stderr.isatty() else lambda _done, _total: None


def _describe_state(model: ModelSpec) -> str:
    if model.bundled:
        return _BUNDLED
    if (store.model_dir(model.name) / store.WEIGHTS_NAME).is_file():
        return _PRESENT
    if all((_downloads_dir(model) / file.name).is_file() for file in model.files):
        return _FETCHED
    return _ABSENT


def _describe_model(model: ModelSpec) -> dict[str, str | int | bool | None]:
    directory: Path | None = None
    try:
        directory = store.model_dir(model.name)
        state, graphs = _describe_state(model), contract.has_graphs(directory, "fp32")
    except (AdainError, OSError) as error:
        complain(f"{directory or model.name}: {explain(error)}")
        state, graphs = _NO_CACHE, False
    return {
        "name": model.name,
        "summary": model.summary,
        "parameters": model.parameters,
        "licence": model.licence,
        "state": state,
        "graphs": graphs,
        "directory": None if directory is None else str(directory),
    }


def _format_table(rows: Sequence[dict[str, str | int | bool | None]]) -> str:
    cells = [_COLUMNS, *(tuple(_format_cell(row[column]) for column in _COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _format_cell(value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
