"""`stma pack`."""

from pathlib import Path
from typing import Annotated

import typer


def pack(
    data: Annotated[Path, typer.Argument(help="Training folder; with --unpack the folder to make.")],
    shards: Annotated[Path, typer.Argument(help="Folder of the shards.")],
    side: Annotated[
        int, typer.Option(min=64, help="Scale images down to this shorter side, in pixels.")
    ] = 320,
    limit: Annotated[float, typer.Option(min=0.1, help="Largest size of a shard in MiB.")] = 45.0,
    unpack: Annotated[
        bool, typer.Option("--unpack", help="Make the training folder from the shards.")
    ] = False,
) -> None:
    """Pack a training folder into small tar files, to carry it to a machine with a GPU.

    Example: stma pack data shards/ && stma pack data-there shards/ --unpack
    """
    from stma.training.pool import scan
    from stma.training.shards import unpack_shards, write_shards

    if unpack:
        typer.echo(f"{unpack_shards(shards, data)} shards unpacked into {data}")
        return
    for path in write_shards(data, scan(data), shards, side, int(limit * 1024 * 1024)):
        typer.echo(f"{path}  {path.stat().st_size / 1024**2:.1f} MiB")
