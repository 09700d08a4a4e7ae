"""Weights that are refused before anything is loaded."""

import pytest

from pyimagesearch.nn import weights
from pyimagesearch.utils import InputError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("n" * 300 + ".h5", "File name too long; expected imagenet", id="long name"),
        pytest.param("missing.h5", "no weights file", id="missing"),
        pytest.param("imagnet", "no weights file 'imagnet'", id="misspelt"),
        pytest.param("model.pt", r"ends in '\.pt'", id="another kind"),
    ],
)
def test_what_is_not_a_weights_file_is_refused_at_once(tmp_path, name, message):
    (tmp_path / "model.pt").touch()
    path = name if name == "imagnet" else str(tmp_path / name)
    with pytest.raises(InputError, match=message):
        weights.check_weights(path)
