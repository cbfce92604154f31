"""A model repository for Triton: a folder for each graph of a model, and for the model that takes two pictures."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

from adain_export.graphs.engine_graph import engine_graph
from adain_export.graphs.staging import stage
from adain_export.triton.config import configure_graph, configure_pictures, use_onnxruntime, use_tensorrt, write_text
from adain_export.triton.engines import GraphEngines, find_engines
from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.backends.base import check_file
from adain_rt.backends.onnxruntime.cpu import graph_path
from adain_rt.backends.onnxruntime.sessions import read_file_facts
from adain_rt.backends.tensorrt.engine_file import engines_dir
from adain_rt.model import Model

__all__ = ["IMAGE", "Repository", "Served"]

IMAGE = "nvcr.io/nvidia/tritonserver:26.09-py3"
"""The container that the README starts."""

_VERSION = "1"
"""The folder of a Triton model's only version."""

_SERVED = Path(__file__).parent / "served"
"""What is copied into repositories."""

_ABOUT_ENGINES = """
TensorRT {version} built the engines. Start a container that has this version: NVIDIA's support matrix of deep learning
frameworks lists them. Engines that were built with `--version-compatible` also run on later versions, if the server is
started with `--backend-config=tensorrt,version-compatible=true`.
"""


@dataclass(frozen=True)
class Served:
    """A model of the repository.

    Attributes:
        name: what clients call it.
        runs_by: what runs it.

    """

    name: str
    runs_by: str


@dataclass(frozen=True)
class Repository:
    """What to write.

    Attributes:
        model: the model to serve.
        folder: where the repository is, or will be; other models may be in it.
        precision: ``fp32``, ``fp16`` or ``int8``.
        engines: the folder of TensorRT engines; ``None`` is the cache.
        max_batch: how many pictures of one size are computed at once, at most.
        instances: how many batches are computed at the same time, on each GPU or on the processor.
        overwrite: whether the models may be there already.

    """

    model: Model
    folder: Path
    precision: str = "fp16"
    engines: Path | None = None
    max_batch: int = 8
    instances: int = 1
    overwrite: bool = False

    @property
    def name(self) -> str:
        """What the model that takes two pictures is called; the graphs' names begin with it."""
        return re.sub("[^A-Za-z0-9._-]+", "-", self.model.name)

    @property
    def readme(self) -> Path:
        """Where it will be said how to start the server and a client; beside it is the client."""
        return self.folder / self.name / "README.md"

    def write(self) -> Iterator[Served]:
        """Write the repository, and yield each model of it once it is ready. They move to their places at the end.

        Raises:
            AdainError: a graph or its weights are missing, or were not exported together; an engine is damaged; the
                folder of engines has none; a model is in the repository already; or a file cannot be written.

        """
        if self.precision == "int8" and self.engines is not None:
            raise AdainError("engines are fp16 or fp32, not int8", hint="leave out `engines`, or choose a `precision`")
        self._check_free()
        served = []
        with stage(self.folder) as aside:
            engines = self._find_engines()
            for graph in contract.GRAPHS:
                served.append(self._write_graph(aside, graph, engines.get(graph)))
                yield served[-1]
            served.append(self._write_pictures(aside))
            yield served[-1]
            self._write_readme(aside, served, next((each.version for each in engines.values()), None))
            for path in aside.iterdir():
                if (self.folder / path.name).exists():  # whose files would otherwise remain
                    shutil.rmtree(self.folder / path.name)

    def _name_graph(self, graph: str) -> str:
        return f"{self.name}-{graph}"

    def _check_free(self) -> None:
        for name in (self.name, *map(self._name_graph, contract.GRAPHS)):
            if (self.folder / name).exists() and not self.overwrite:
                raise AdainError(
                    f"{self.folder / name}: exists already",
                    hint="add `overwrite` to replace it, or choose another folder",
                )

    def _find_engines(self) -> dict[str, GraphEngines]:
        """Return the engines by graph."""
        if self.precision == "int8":
            return {}
        folder = self.engines or engines_dir()
        graphs = [self.model.find_graphs(graph, self.precision) for graph in contract.GRAPHS]
        found = find_engines(graphs[0], self.precision, folder)
        if self.engines is not None and not found:
            raise AdainError(
                f"{folder}: no engine of this model in {self.precision} is there that Triton can load",
                hint="build one with `adain-rt build --flavor tensorrt -o` that folder; Triton takes no TensorRT-RTX",
            )
        return found

    def _write_graph(self, aside: Path, graph: str, engines: GraphEngines | None) -> Served:
        folder = self.model.find_graphs(graph, self.precision)
        path = graph_path(folder, graph)
        names = check_file(path)
        facts = read_file_facts(path, graph)
        self.model.check_graph(graph, self.precision, facts)
        name = self._name_graph(graph)
        version = aside / name / _VERSION
        version.mkdir(parents=True)
        if engines is not None:
            batch, profiles = engines.fit_batch(self.max_batch)
            config = configure_graph(name, graph, facts.channels, batch)
            files = {capability: f"model-{capability}.plan" for capability in engines.files}
            for capability, engine in engines.files.items():
                (version / files[capability]).write_bytes(engine.read())
            use_tensorrt(config, files, profiles, self.instances)
            runs_by = f"TensorRT {engines.version}, {self.precision}, for compute capability {', '.join(files)}"
        else:
            config = configure_graph(name, graph, facts.channels, self.max_batch)
            if self.precision == "fp16":
                (version / "model.onnx").write_bytes(engine_graph(folder, graph, "fp16"))
            else:
                shutil.copyfile(path, version / "model.onnx")
                for data in names:  # the graph names them as files beside it
                    shutil.copyfile(folder / data, version / data)
            use_onnxruntime(config, self.precision, self.instances)
            runs_by = f"ONNX Runtime, {self.precision}"
        (aside / name / "config.pbtxt").write_text(write_text(config), "utf-8")
        return Served(name, runs_by)

    def _write_pictures(self, aside: Path) -> Served:
        """Write the model that takes a picture and a style picture."""
        version = aside / self.name / _VERSION
        version.mkdir(parents=True)
        shutil.copyfile(_SERVED / "model.py", version / "model.py")
        config = configure_pictures(
            self.name, self._name_graph("encode"), self._name_graph("stylize"), self.max_batch * self.instances
        )
        (aside / self.name / "config.pbtxt").write_text(write_text(config), "utf-8")
        return Served(self.name, "Python, and the models above")

    def _write_readme(self, aside: Path, served: list[Served], tensorrt: str | None) -> None:
        shutil.copyfile(_SERVED / "client.py", aside / self.name / "client.py")
        template = Template((_SERVED / "README.md").read_text("utf-8"))
        gpu = self.precision != "int8"
        text = template.substitute(
            model=self.name,
            image=IMAGE,
            gpus=" --gpus all" if gpu else "",
            rows="\n".join(f"| `{each.name}` | {each.runs_by} |" for each in served),
            engines=_ABOUT_ENGINES.format(version=tensorrt) if tensorrt else "",
        )
        (aside / self.name / self.readme.name).write_text(text, "utf-8")
