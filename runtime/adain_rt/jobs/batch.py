"""The plan of ``adain-rt batch``: which results are to be made, and which are there."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adain_models.errors import AdainError
from adain_rt.jobs import remote
from adain_rt.jobs.inputs import STDIN, expand
from adain_rt.jobs.outputs import choose_suffix, identify, make_name, name_output
from adain_rt.jobs.painter import Painter, Result, Task
from adain_rt.jobs.stills import Stills, name_source
from adain_rt.jobs.styles import Mixture, StyleArgument, join_styles
from adain_rt.media.pictures import WRITABLE
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix

__all__ = ["Batch"]


class Batch:
    """The plan of a batch: the tasks, and those that an earlier run has finished.

    All that can be refused before a picture is read is refused when the plan is made.

    Args:
        contents: files, directories, globs, or URIs of files and folders.
        styles: as for ``Stills``; pictures and saved styles on this machine.
        output: a file or a directory, as for ``Stills``, or the URI of a folder.
        recursive: whether the pictures in subfolders are taken as well.
        overwrite: whether existing files may be replaced.
        resume: whether a result is skipped if its file exists.
        painting: how a content is painted, as for ``Stills``: ``masks``, ``strength``, ``color``, ``size``,
            ``max_size``, ``style_size``, ``crop``.

    Attributes:
        tasks: the results to make, those of one content in a row.
        finished: the results that are there.

    Raises:
        AdainError: contents, styles, masks and outputs do not go together; a result would overwrite a file; or a file
            system refuses.

    """

    def __init__(
        self,
        contents: Sequence[str],
        styles: Sequence[StyleArgument],
        output: str,
        *,
        recursive: bool = False,
        overwrite: bool = False,
        resume: bool = False,
        **painting: Any,
    ) -> None:
        if str(STDIN) in contents or name_output(output) == STDIN:
            raise AdainError("many workers cannot share stdin or stdout; name files or folders")
        painting["masks"] = [mask.absolute() for mask in painting.get("masks", ())]
        self._mixtures = join_styles(styles, len(painting["masks"]))
        away = _list_remote([name for name in contents if remote.is_remote(name)], output, recursive)
        found = expand([name for name in contents if not remote.is_remote(name)], recursive, Path(output))
        here = {path.absolute(): folder for path, folder in found.items()}
        if away or remote.is_remote(output):
            self._job = Stills((), styles, overwrite=overwrite, resume=resume, **painting)
            folders = {str(path): "" if folder == Path() else str(folder) for path, folder in here.items()} | away
            tasks = _plan(folders, self._mixtures, output)
            finished, self.tasks = _check_free(tasks, folders.keys(), output, overwrite, resume)
        else:
            place = str(Path(output).absolute()) + ("/" if output.endswith("/") else "")
            self._job = Stills(here, styles, output=place, overwrite=overwrite, resume=resume, **painting)
            finished, self.tasks = _as_tasks(self._job.finished), _as_tasks(self._job.waiting)
        self.finished = [Result(task.content, task.style, task.output, "skipped") for task in finished]

    def make_painter(self, stylizer: Stylizer) -> Painter:
        """Return what does the tasks; the styles are encoded here, once for all machines.

        Raises:
            AdainError: the only style, or one of a mixture, cannot be read or encoded.

        """
        painter = Painter(stylizer, replace(self._job, contents=(), output=None, resume=False))
        for mixture in self._mixtures:
            try:
                painter.mixes[mixture] = _drop_pixels(painter.job.load(mixture, painter.transfer))
            except AdainError as error:
                if not painter.job.styles[0].is_directory:
                    raise
                painter.failed[mixture.label] = name_source(error, str(mixture))
        return painter

    def settle(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield results as they are known here. No worker knows that a file system takes the names of two for one."""
        written: dict[Hashable, Result] = {}
        for result in results:
            if result.status == "painted" and not remote.is_remote(result.output):
                first = written.setdefault(identify(Path(result.output)), result)
                if first is not result:
                    task = Task(result.content, result.style, result.output)
                    alike = f"is the result of {first.content} already under a like name; rename one of the two"
                    yield Result.failure(task, AdainError(f"{task.output}: {alike}"))
                    continue
            yield result


def _drop_pixels(mix: StyleMix) -> StyleMix:
    """Return styles without the pictures that they were encoded from, which no worker needs."""
    sources = (source if source.code is None else replace(source, pixels=None) for source in mix.sources)
    return replace(mix, sources=tuple(sources))


def _list_remote(uris: Sequence[str], output: str, recursive: bool) -> dict[str, str]:
    """Return the pictures of URIs with their folders; none in an output folder that is below one of them."""
    results = output.rstrip("/") + "/"
    found: dict[str, str] = {}
    for uri in uris:
        below = results.startswith(uri.rstrip("/") + "/") and results != uri.rstrip("/") + "/"
        for picture, folder in remote.list_pictures(uri, recursive).items():
            if not (below and picture.startswith(results)):
                found.setdefault(picture, folder)
    return found


def _plan(folders: Mapping[str, str], mixtures: Sequence[Mixture], output: str) -> list[Task]:
    """Return the tasks for contents, where these or the output are on another file system.

    Raises:
        AdainError: two results would be one file, or the output is a file's name.

    """
    if Path(output).suffix.lower() in WRITABLE and not output.endswith("/"):
        raise AdainError(f"{output}: is the name of a file; give a folder, which ends with /")
    place = output.rstrip("/") if remote.is_remote(output) else str(Path(output).absolute())
    owners: dict[str, tuple[str, Mixture]] = {}
    for content, folder in folders.items():
        path = remote.path_of(content) if remote.is_remote(content) else Path(content)
        for mixture in mixtures:
            name = make_name(path, mixture.label, choose_suffix(path))
            target = "/".join([place, *([folder] if folder else []), name])
            other, style = owners.setdefault(target, (content, mixture))
            if (other, style) != (content, mixture):
                raise AdainError(
                    f"{other} in the style {style} and {content} in the style {mixture} would both become {target}; "
                    "rename one, or stylise them in turn, each into its own folder"
                )
    return [Task(content, mixture.label, target) for target, (content, mixture) in owners.items()]


def _check_free(
    tasks: Sequence[Task], contents: Collection[str], output: str, overwrite: bool, resume: bool
) -> tuple[list[Task], list[Task]]:
    """Return the tasks that are finished, if the batch is resumed, and the others.

    Raises:
        AdainError: a result would overwrite a content, or another file without ``overwrite``.

    """
    there = _find_existing(tasks, output)
    if resume:  # a folder that was painted into itself holds results among its contents
        results = {task.output for task in tasks if task.output in there}
        contents = [content for content in contents if content not in results]
        tasks = [task for task in tasks if task.content not in results]
    inputs = set(contents)
    for task in tasks:
        if task.output in inputs:
            raise AdainError(f"{task.output}: is an input, and would be overwritten", hint="choose another `output`")
        if task.output in there and not overwrite and not resume:
            raise AdainError(
                f"{task.output}: exists already", hint="add `overwrite` to replace it, or choose another `output`"
            )
    finished = [task for task in tasks if resume and task.output in there]
    return finished, [task for task in tasks if not resume or task.output not in there]


def _find_existing(tasks: Sequence[Task], output: str) -> set[str]:
    """Return the outputs that exist. An object store lists a folder far faster than it answers for each file."""
    if remote.is_remote(output):
        return {f"{output.rstrip('/')}/{file}" for file in remote.list_files(output)}
    return {task.output for task in tasks if Path(task.output).exists()}


def _as_tasks(targets: Mapping[tuple[Path, Mixture], Path]) -> list[Task]:
    return [Task(str(content), mixture.label, str(path)) for (content, mixture), path in targets.items()]
