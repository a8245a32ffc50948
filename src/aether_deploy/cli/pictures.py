"""Drawing a replay into the file that --plot names."""

import os
from importlib.util import find_spec
from pathlib import PurePath

from aether_deploy.delivery.traces import write_result
from aether_deploy.problems import ConfigError, EffectError, Problem
from aether_deploy.simulation.picture import Scene

FORMATS = (".html", ".png")


def check_plot(path: str | None) -> None:
    """Refuse, before any work, a file that cannot be drawn.

    Raises:
        ConfigError: Its name ends with no known format.
        EffectError: The program that draws it is missing, or the folder.
    """
    if path is None:
        return
    kind, folder = PurePath(path).suffix, os.path.dirname(path)
    if kind not in FORMATS:
        reason, fix = "ends with no format that is drawn", "name a file that ends with .html or .png"
        raise ConfigError([Problem(path=f"--plot {path}", reason=reason, fix=fix)])
    if kind == ".png" and find_spec("matplotlib") is None:
        fix = "pip install 'aether-deploy[plots]', or name a file that ends with .html"
        raise EffectError(f"{path}: a PNG is drawn by matplotlib, which is not installed\n  fix: {fix}")
    if folder and not os.path.isdir(folder):
        raise EffectError(f"{path}: {folder} is no folder\n  fix: make it, or name a file in a folder that is there")


def write_plot(path: str, scene: Scene) -> None:
    """Draw ``scene`` into the file at ``path``: complete, or not at all.

    Raises:
        EffectError: The disk refuses.
    """
    if PurePath(path).suffix == ".html":
        from aether_deploy.simulation.picture_html import render_html

        write_result(path, [render_html(scene).encode()])
    else:
        from aether_deploy.simulation.picture_png import render_png

        write_result(path, [render_png(scene)])
