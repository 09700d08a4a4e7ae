import io
import os
import pickle
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from pyimagesearch.linear import load_classifier, save_classifier
from pyimagesearch.linear.classifierfile import others_can_write
from pyimagesearch.linear.linearclassifier import LinearClassifier
from pyimagesearch.linear.picklemakers import pickle_makers
from pyimagesearch.utils import InputError

EXTRACTION = {"network": "fake", "feature_shape": [2, 3], "weights": {"name": "x"}}
NAMES = ["cats", "dogs"]
ROWS = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)


class Reversed(LogisticRegression):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


def fitted(kind=LogisticRegression):
    return kind().fit(ROWS, np.arange(20) % 2)


def save_as_version_0_1(path, model, monkeypatch):
    """Save a classifier as if that version of scikit-learn had made it."""
    with monkeypatch.context() as patch:
        patch.setattr(sklearn, "__version__", "0.1")
        save_classifier(path, model, NAMES, EXTRACTION)


@pytest.fixture(params=["model.cpickle", "model.skops", "model.SKOPS"])
def path(request, tmp_path) -> Path:
    return tmp_path / request.param


@pytest.mark.slow
def test_what_is_loaded_is_what_was_saved(path, caplog):
    model = fitted()
    save_classifier(path, model, NAMES, EXTRACTION, ["ff" * 8, "00" * 8, "ff" * 8])
    loaded = load_classifier(path)
    assert caplog.messages == []
    assert type(loaded) is LogisticRegression
    assert (loaded.label_names_, loaded.extraction_) == (NAMES, EXTRACTION)
    np.testing.assert_array_equal(loaded.predict_proba(ROWS), model.predict_proba(ROWS))
    assert loaded.training_digests_.dtype == np.uint64
    assert loaded.training_digests_.tolist() == [0, 2**64 - 1]


@pytest.mark.parametrize(
    "digests", [[], ["0" * 15], ["0" * 16, 5], ["g" * 16], ["0" * 16, None]], ids=str
)
def test_digests_that_are_none_are_not_kept(path, digests):
    save_classifier(path, fitted(), NAMES, EXTRACTION, digests)
    assert not hasattr(load_classifier(path), "training_digests_")


def test_a_digest_takes_eight_bytes(path):
    sizes = []
    for n in (1000, 3000):
        digests = [f"{number:016x}" for number in range(n)]
        save_classifier(path, fitted(), NAMES, EXTRACTION, digests)
        sizes.append(path.stat().st_size)
    assert sizes[1] - sizes[0] < 2000 * 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda m: m.extraction_.clear(), "does not record how its", id="no description"
        ),
        pytest.param(lambda m: delattr(m, "label_names_"), "does not record how", id="no names"),
        pytest.param(lambda m: delattr(m, "coef_"), "does not record how", id="not fitted"),
        pytest.param(lambda m: m.label_names_.pop(), "1 names for 2 classes", id="names missing"),
        pytest.param(
            lambda m: m.extraction_.update(feature_shape=[7, 7, 512]),
            "takes 6 numbers per image, but the network that it names gives 7 x 7 x 512",
            id="other network",
        ),
        *[
            pytest.param(lambda m, key=key: delattr(m, key), rf"it is damaged \(.*{key}", id=key)
            for key in ("classes_", "n_features_in_", "intercept_")
        ],
        pytest.param(
            lambda m: delattr(m, "sklearn_version_"),
            "does not record which scikit-learn",
            id="no version",
        ),
        *[
            pytest.param(lambda m, new=new: vars(m).update(new), message, id=str(new))
            for new, message in (
                ({"label_names_": [0, 1]}, "names of its classes are not text"),
                ({"extraction_": ["VGG16"]}, "it is damaged"),
                ({"extraction_": {"feature_shape": None}}, "it is damaged"),
                ({"extraction_": {"feature_shape": [2, "3"]}}, "it is damaged|network that"),
                ({"extraction_": EXTRACTION | {"weights_file": 5}}, "weights file is not text"),
                ({"coef_": np.zeros((1, 5))}, "coefficients of 5, not 6 numbers"),
                ({"coef_": np.zeros((3, 6))}, "not give a probability for each class"),
                ({"coef_": np.full((1, 6), np.nan)}, "not give a probability for each class"),
                ({"coef_": np.zeros(6)}, "it is damaged"),
                ({"coef_": None}, "it is damaged"),
                ({"classes_": np.array([0.0, 1.0])}, "it is damaged"),
                ({"classes_": np.array(["cats", "dogs"])}, "it is damaged"),
                ({"classes_": np.array([], int)}, "it is damaged"),
                ({"sklearn_version_": None}, "does not record which scikit-learn"),
                ({"training_digests_": ["0" * 16]}, "not recorded as digests of 8 bytes"),
                ({"training_digests_": np.zeros(2)}, "not recorded as digests of 8 bytes"),
            )
        ],
    ],
)
def test_a_classifier_that_cannot_classify_is_refused(path, spoil, message):
    model = fitted()
    save_classifier(path, model, NAMES, EXTRACTION)
    spoil(model)
    if path.suffix == ".cpickle":
        path.write_bytes(pickle.dumps(model))
    else:
        import skops.io

        skops.io.dump(model, path)
    for only_coefficients in (False, True):
        with pytest.raises(InputError, match=message) as caught:
            load_classifier(path, only_coefficients)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_suffix_of_a_safe_file_may_be_in_capitals(tmp_path):
    save_classifier(tmp_path / "model.SKOPS", fitted(), NAMES, EXTRACTION)
    assert zipfile.is_zipfile(tmp_path / "model.SKOPS")


def test_another_version_of_scikit_learn_is_a_warning(path, monkeypatch, caplog):
    save_as_version_0_1(path, fitted(), monkeypatch)
    load_classifier(path)
    (line,) = caplog.messages
    assert "made with scikit-learn 0.1, and this is " + sklearn.__version__ in line


@pytest.mark.parametrize("content", [b"", b"\x80\x04junk", b"<html>"], ids=["empty", "cut", "html"])
def test_what_is_not_a_model_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a classifier for images"):
        load_classifier(path)


def moved(module: bytes) -> bytes:
    """Return another name of the same length, of a module that nobody has."""
    return module[:-1] + b"X"


@pytest.mark.parametrize("module", [b"sklearn.linear_model._logistic", b"numpy._core.multiarray"])
def test_a_pickle_whose_module_has_moved_names_the_versions_that_made_it(
    tmp_path, monkeypatch, module
):
    path = tmp_path / "model.cpickle"
    save_as_version_0_1(path, fitted(), monkeypatch)
    content = path.read_bytes()
    assert module in content
    path.write_bytes(content.replace(module, moved(module)))
    with pytest.raises(InputError) as caught:
        load_classifier(path)
    found = str(caught.value)
    assert f"(No module named '{moved(module).decode()}')" in found
    assert "made with scikit-learn 0.1 and numpy 2; install these, or train it again" in found
    assert f"with scikit-learn {sklearn.__version__} and numpy {np.__version__} (" in found
    assert "\n" not in found


def test_a_pickle_of_numpy_1_is_told_from_one_of_numpy_2(tmp_path):
    path = tmp_path / "model.pickle"
    for module, maker in ((b"numpy._core", "numpy 2"), (b"numpy.core", "numpy 1")):
        text = module + b".multiarray\n_reconstruct"
        path.write_bytes(b"c" + text + b"\n.")  # protocol 0: a global
        assert pickle_makers(path) == [maker]


def test_the_versions_in_a_damaged_pickle_are_reported(tmp_path):
    path = tmp_path / "model.cpickle"
    save_classifier(path, fitted(), NAMES, EXTRACTION)
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    assert pickle_makers(path) == [f"scikit-learn {sklearn.__version__}", "numpy 2"]
    path.write_bytes(b"\x80\x04junk")
    assert pickle_makers(path) == []


def test_a_class_that_has_moved_from_its_module_is_not_damage(path, monkeypatch):
    save_classifier(path, fitted(), NAMES, EXTRACTION)
    monkeypatch.delattr("sklearn.linear_model._logistic.LogisticRegression")
    with pytest.raises(InputError, match=r"cannot be used with .*LogisticRegression.* train it ag"):
        load_classifier(path)


def test_an_attribute_that_another_version_wants_is_not_damage(path, monkeypatch):
    model = fitted()
    save_as_version_0_1(path, model, monkeypatch)
    monkeypatch.setattr(LogisticRegression, "predict_proba", lambda *_: model.of_another_version)
    with pytest.raises(
        InputError, match=r"of_another_version.*: it was made with scikit-learn 0.1"
    ):
        load_classifier(path)


@pytest.mark.parametrize("only_coefficients", [False, True])
def test_another_kind_of_model_is_refused(path, only_coefficients):
    save_classifier(path, fitted(LinearSVC), NAMES, EXTRACTION)
    with pytest.raises(InputError, match=r"it holds a LinearSVC|types that are not trusted"):
        load_classifier(path, only_coefficients)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_coefficients_alone_give_the_same_probabilities(tmp_path, n_classes):
    path = tmp_path / "model.cpickle"
    names = ["cats", "dogs", "panda"][:n_classes]
    model = LogisticRegression().fit(ROWS.astype(float), np.arange(20) % n_classes)
    save_classifier(path, model, names, EXTRACTION, ["ff" * 8])
    read = load_classifier(path, only_coefficients=True)
    assert type(read) is LinearClassifier
    expected = model.predict_proba(ROWS)
    np.testing.assert_allclose(read.predict_proba(ROWS), expected, rtol=1e-14)
    for attribute in ("classes_", "label_names_", "extraction_", "training_digests_"):
        np.testing.assert_array_equal(getattr(read, attribute), getattr(model, attribute))


def test_coefficients_are_read_without_the_scikit_learn_that_made_them(
    tmp_path, monkeypatch, caplog
):
    path = tmp_path / "model.cpickle"
    save_as_version_0_1(path, fitted(), monkeypatch)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("sklearn", "scipy")]:
        monkeypatch.setitem(sys.modules, name, None)  # as if not installed
    load_classifier(path, only_coefficients=True)
    assert caplog.messages == []
    with pytest.raises(ImportError):
        load_classifier(path)


def test_a_classifier_of_another_class_keeps_its_own_probabilities(tmp_path):
    path = tmp_path / "model.cpickle"
    save_classifier(path, fitted(Reversed), NAMES, EXTRACTION)
    read = load_classifier(path, only_coefficients=True)
    expected = fitted().predict_proba(ROWS)[:, ::-1]
    np.testing.assert_array_equal(read.predict_proba(ROWS), expected)


def test_a_missing_file_is_named(path):
    with pytest.raises(InputError, match=re.escape(f"no classifier '{path}'")):
        load_classifier(path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(path, monkeypatch):
    opened = io.open

    def refuse(file, *arguments, **options):
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(file, *arguments, **options)

    save_classifier(path, fitted(), NAMES, EXTRACTION)
    monkeypatch.setattr(io, "open", refuse)
    with pytest.raises(InputError, match=re.escape(f"cannot read '{path}': Permission denied")):
        load_classifier(path)


def test_a_skops_file_with_a_type_that_nobody_trusts_is_refused(tmp_path):
    path, tampered = tmp_path / "model.skops", tmp_path / "tampered.skops"
    save_classifier(path, fitted(), NAMES, EXTRACTION)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tampered, "w") as spoilt:
        for name in whole.namelist():
            content = whole.read(name)
            if name == "schema.json":
                assert b'"LogisticRegression"' in content
                content = content.replace(b'"LogisticRegression"', b'"Popen"').replace(
                    b'"sklearn.linear_model._logistic"', b'"subprocess"'
                )
            spoilt.writestr(name, content)
    with pytest.raises(InputError, match=r"not trusted: subprocess\.Popen"):
        load_classifier(tampered)


def test_a_pickle_is_warned_about_only_where_others_can_write(tmp_path, caplog):
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    path = folder / "model.cpickle"
    save_classifier(path, fitted(), NAMES, EXTRACTION)
    path.chmod(0o644)
    load_classifier(path)
    assert caplog.messages == []
    folder.chmod(0o777)
    load_classifier(path)
    assert "a place that others can write to" in caplog.text
    folder.chmod(0o1777)  # as /tmp, where only owners may replace a file
    assert not others_can_write(path)
    path.chmod(0o666)
    assert others_can_write(path)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root to chown")
def test_a_pickle_of_another_user_is_warned_about(tmp_path):
    path = tmp_path / "model.cpickle"
    save_classifier(path, fitted(), NAMES, EXTRACTION)
    os.chown(path, 12345, -1)
    assert others_can_write(path)
