"""What is recorded of a run, in which order, and which of it affects the rows."""

import json
from dataclasses import fields, replace

import pytest

from pyimagesearch.io import RunRecord, Unfinished, creation_date
from pyimagesearch.utils import InputError

WHOLE = RunRecord(
    dataset="animals",
    network="VGG16",
    layer="block5_pool",
    pooling="none",
    size=[224, 224],
    preprocessing="caffe",
    feature_shape=[7, 7, 512],
    weights={"name": "imagenet", "sha256": "ab"},
    weights_file=None,
    engine="ncnn",
    batch_size=4,
    seed=42,
    created="2026-11-28T15:00:00+00:00",
    versions={"python": "3.11"},
    processors="A",
    image_bytes=12,
    contents_sha256="cd",
    skipped={"cats/3.jpg": "it is empty"},
    decoding={"upright": True},
    labels={"from": "table", "sha256": "ef"},
    n_train=1,
    groups=[[0, 1]],
    duplicate_groups=[[0, 1]],
    near_duplicates=[[0, 1, False]],
    paths=["cats/1.jpg", "dogs/2.jpg"],
    digests=["01", "02"],
    fingerprints=["q83v", "AAEC"],
    others={"a_later_key": [1]},
)
# As 1.0.0 has written it, and a later key behind.
KEYS = [
    "dataset",
    "network",
    "layer",
    "pooling",
    "size",
    "preprocessing",
    "feature_shape",
    "weights",
    "weights_file",
    "engine",
    "batch_size",
    "seed",
    "created",
    "versions",
    "processors",
    "image_bytes",
    "contents_sha256",
    "skipped",
    "decoding",
    "labels",
    "n_train",
    "groups",
    "duplicate_groups",
    "near_duplicates",
    "paths",
    "digests",
    "fingerprints",
    "a_later_key",
]


def test_the_keys_of_a_file_keep_their_order_and_names():
    assert list(WHOLE.to_json()) == KEYS
    assert WHOLE.to_json()["weights_file"] is None  # of no file, and written as null


def test_what_is_read_is_what_was_written():
    assert RunRecord.from_json(json.loads(json.dumps(WHOLE.to_json()))) == WHOLE


def test_nothing_is_written_of_what_is_not_known():
    recorded = {"seed": 42, "paths": ["a"], "a_later_key": None}
    assert RunRecord.from_json(recorded).to_json() == recorded
    assert RunRecord().to_json() == {}


def test_a_classifier_keeps_no_entry_per_image():
    dropped = {"skipped", "labels", "n_train", "groups", "duplicate_groups", "near_duplicates"}
    dropped |= {"paths", "digests", "fingerprints"}
    assert list(WHOLE.for_classifier()) == [key for key in KEYS if key not in dropped]


OTHER_RUN = {"dataset", "weights_file", "created", "versions", "processors", "fingerprints"}


@pytest.mark.parametrize("name", [field.name for field in fields(RunRecord)])
def test_a_run_is_resumed_only_with_what_decides_the_rows(name):
    unfinished = Unfinished("f.hdf5.partial", 1, WHOLE.to_json())
    now = replace(WHOLE, **{name: {"a_later_key": [2]} if name == "others" else "another"})
    if name in OTHER_RUN:
        unfinished.require_same(now.to_json())
        return
    key = "a_later_key" if name == "others" else name
    with pytest.raises(InputError, match=rf"^cannot resume 'f.hdf5.partial', .* {key} "):
        unfinished.require_same(now.to_json())


def test_what_is_not_known_yet_does_not_forbid_to_resume():
    unfinished = Unfinished("f.hdf5.partial", 1, WHOLE.to_json())
    unfinished.require_same(RunRecord(network="VGG16", seed=42).to_json())


@pytest.mark.parametrize("epoch", ["yesterday", "1e400", str(10**20)])
def test_a_date_that_is_none_is_refused(monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(InputError, match=f"SOURCE_DATE_EPOCH is '{epoch}': expected seconds"):
        creation_date()


def test_the_date_may_be_given(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    assert creation_date() == "2017-07-14T02:40:00+00:00"
