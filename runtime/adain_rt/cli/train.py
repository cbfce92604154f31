"""``adain-rt train``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

from adain_models import store
from adain_models.crops import LARGEST, held_out
from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.terminal import progress
from adain_rt.contents import pictures_in
from adain_rt.contract import Pixels
from adain_rt.pictures import frame, read_picture
from adain_rt.sheet import Cell, draw

_directory = click.Path(exists=True, file_okay=False, path_type=Path)


def _shares(ctx, param, values):
    found = []
    for value in values:
        name, _, share = value.rpartition(":")
        if Path(value).is_dir():
            found.append((Path(value), 1.0))
        else:
            found.append((Path(name), float(share)))
    return found


@click.command("train")
@options.model
@click.option("--content", "contents", type=_directory, required=True)
@click.option("--style", "styles", multiple=True, required=True, callback=_shares)
@click.option("--teacher", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--steps", type=click.IntRange(min=1), default=1000)
@click.option("--batch", type=click.IntRange(min=1), default=4)
@click.option("--crop", type=click.IntRange(min=64), default=128)
@click.option("--rate", type=float, default=1e-4)
@click.option("--style-weight", type=float, default=10)
@click.option("--texture-weight", type=float, default=1)
@click.option("--seed", type=int, default=0)
@click.option("--device", default="cpu")
@click.option("--every", type=click.IntRange(min=1), default=500)
@click.option("--resume", is_flag=True)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True)
def command(model, contents, styles, teacher, steps, batch, crop, rate, style_weight, texture_weight, seed, device, every, resume, output):
    from adain_models import checkpoint
    from adain_models.losses import FixedEncoder, Joint
    from adain_models.teacher import Teacher
    from adain_models.training import Settings, Training
    from adain_models import reference
    import torch
    network = checkpoint.load(store.model_dir(model) / store.WEIGHTS_NAME)
    if teacher:
        guide = Teacher(teacher).to(device, memory_format=torch.channels_last)
        recipe = Joint(guide, style_weight, texture_weight)
    else:
        recipe = FixedEncoder(network, style_weight)
    settings = Settings(steps, batch, crop, rate, seed)
    photo_paths = pictures_in(contents)
    groups = [(pictures_in(folder), share) for folder, share in styles]
    photos = [_read(p) for p in photo_paths if not held_out(p)]
    paintings = [([_read(p) for p in paths if not held_out(p)], share) for paths, share in groups]
    rng = np.random.default_rng(0)
    vphotos = [p for p in photo_paths if held_out(p)]
    vphotos = [frame(_read(vphotos[i]), 256, crop=True) for i in range(0, len(vphotos), max(1, len(vphotos) // 5))][:5]
    vstyles = [p for paths, _ in groups for p in [q for q in paths if held_out(q)][:3]][:7]
    vstyles = [frame(_read(p), 256, crop=True) for p in vstyles]
    training = Training(network, recipe, photos, paintings, settings, device)
    if resume:
        training.resume(output)
    output.mkdir(parents=True, exist_ok=True)

    def sheet():
        net = training.averaged()
        with torch.autocast("cpu", torch.bfloat16, enabled=False):
            codes = [reference.encode(net, torch.from_numpy(s[None].copy())) for s in vstyles]
            rows = [[Cell(), *(Cell(pixels=s) for s in vstyles)]]
            for p in vphotos:
                rows.append([Cell(pixels=p)] + [Cell(pixels=reference.stylize(net, torch.from_numpy(p[None].copy()), c, torch.ones(1))[0].numpy()) for c in codes])
        Image.fromarray(draw(rows, 256)).save(output / f"sheet-{training.step:06d}.jpg", quality=92)

    if training.step == 0:
        sheet()
    began = time.perf_counter()
    first = training.step
    sums = {}
    with (output / "log.jsonl").open("a") as log:
        for each in training.run():
            for k, v in each.terms.items():
                sums[k] = sums.get(k, 0) + v
            if each.step % 50 == 0:
                line = {"step": each.step, **{k: round(v / 50, 4) for k, v in sums.items()}, "s_per_step": round((time.perf_counter() - began) / (each.step - first), 3)}
                sums = {}
                print(json.dumps(line), file=log, flush=True)
                print(line, flush=True)
            if each.live:
                print({k: round(v, 2) for k, v in each.live.items()}, file=log, flush=True)
                print({k: round(v, 2) for k, v in each.live.items()}, flush=True)
            if each.step % every == 0 or each.step == steps:
                training.save(output)
                sheet()


def _read(path: Path) -> Pixels:
    pixels = read_picture(path).pixels
    return frame(pixels, LARGEST, crop=False) if min(pixels.shape[:2]) > LARGEST else pixels
