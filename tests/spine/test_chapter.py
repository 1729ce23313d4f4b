"""The first cell of every notebook, the stored form, and the figure style."""

import random

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
import torch
from nbclient.exceptions import CellExecutionError

from xent import chapter, figures


def draws(rng):
    return rng.random(), np.random.rand(), random.random(), torch.rand(1).item()


def test_start_seeds_everything_and_uses_one_thread():
    first = draws(chapter.start(seed=7))
    assert draws(chapter.start(seed=7)) == first
    assert draws(chapter.start(seed=8)) != first
    assert torch.get_num_threads() == 1
    assert mpl.rcParams["figure.facecolor"] == figures.CARD


def test_normal_form_keeps_only_tags_and_figure_metadata():
    cell = nbformat.v4.new_code_cell("1", metadata={"tags": ["x"], "collapsed": True})
    node = chapter.normalized(nbformat.v4.new_notebook(cells=[cell], metadata={"toc": 1}))
    assert node.cells[0]["id"] == "cell-000" and node.cells[0].metadata == {"tags": ["x"]}
    assert set(node.metadata) == {"kernelspec", "language_info"}


def test_a_notebook_that_fails_is_not_stored(tmp_path):
    path = tmp_path / "broken.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in ("1 + 1", "1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    before = path.read_text()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        chapter.execute(path)
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def luminance(color):
    channels = np.array(mpl.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("color", sorted({*figures.CYCLE, figures.INK}))
def test_figure_colors_read_on_the_card(color):
    assert (luminance(figures.CARD) + 0.05) / (luminance(color) + 0.05) >= 4.5


def test_roles_differ_without_color():
    roles = ("paper", "measured", "bound", "failure", "ours")
    styles = [figures.line(role, marker=True) for role in roles]
    assert len({str(style["linestyle"]) for style in styles}) == len(roles)
    assert len({style["marker"] for style in styles}) == len(roles)
    with pytest.raises(ValueError, match="role must be one of"):
        figures.line("guess")
