"""Settings of runs: what the command line refuses is refused from Python, too."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds

PLAIN = {"overlay": False, "figures": False}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": -3}, "batch_size must be a whole number of at least 1, found -3"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, found 0"),
        ({"threads": "2"}, "threads must be a whole number of at least 0, found '2'"),
        ({"threads": -1}, "threads must be a whole number of at least 0, found -1"),
        ({"device": "gpu"}, "device must be cpu or cuda, found 'gpu'"),
        ({"device": "cuda:1"}, "device must be cpu or cuda, found 'cuda:1'"),
        ({"device": None}, "device must be cpu or cuda, found None"),
    ],
)
def test_limits_of_a_pipeline(host, setting, message):
    with pytest.raises(ds.OptionError, match=message):
        ds.Pipeline("find", host=host, **setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"workers": -1}, "workers must be a whole number of at least 0, found -1"),
        ({"workers": 1.5}, "workers must be a whole number of at least 0, found 1.5"),
        ({"table_format": "xlsx"}, "table_format must be parquet or csv, found 'xlsx'"),
        ({"table_format": "CSV"}, "table_format must be parquet or csv, found 'CSV'"),
    ],
)
def test_limits_of_a_run_hold_before_anything_is_read(host, series, tmp_path, setting, message):
    with pytest.raises(ds.OptionError, match=message):
        ds.Pipeline("find", host=host).run(series(2), tmp_path / "run", **setting)
    assert not (tmp_path / "run").exists()


def test_whole_numbers_may_be_those_of_numpy(host, series, tmp_path):
    one = np.int64(1)
    pipeline = ds.Pipeline("find", host=host, threads=one, batch_size=one)
    assert len(pipeline.run(series(2), tmp_path / "run", workers=one, **PLAIN).frames) == 2
