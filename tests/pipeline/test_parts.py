"""Tables that grow in parts and become one file."""

import pandas as pd
import pytest

from defectscope.core.errors import ComponentError, OutputError
from defectscope.pipeline import parts
from defectscope.pipeline.parts import GrowingTable, read_table, write_table

COLUMNS = {"frame": "int64", "x": "float64"}


def rows(frame, n, **more):
    return pd.DataFrame({"frame": [frame] * n, "x": [float(k) for k in range(n)], **more})


def grown(path, cuts):
    """Write ten frames in parts that begin at `cuts`."""
    table = GrowingTable(path, COLUMNS)
    for start, stop in zip(cuts, [*cuts[1:], 10], strict=True):
        several = [rows(frame, frame % 4) for frame in range(start, stop)]
        table.append(start, pd.concat(several, ignore_index=True))
    return table


def test_parts_read_like_the_finished_table(tmp_path):
    table = grown(tmp_path / "t.parquet", [0, 4, 7])
    before = read_table(tmp_path / "t.parquet")
    table.finish()
    assert (tmp_path / "t.parquet").is_file()
    pd.testing.assert_frame_equal(before, read_table(tmp_path / "t.parquet"))


def test_bytes_do_not_depend_on_where_the_parts_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS_A_GROUP", 4)
    files = []
    for name, cuts in (("a", [0]), ("b", [0, 1, 2, 3, 9]), ("c", [0, 5])):
        table = grown(tmp_path / f"{name}.parquet", cuts)
        files.append(table.finish().read_bytes())
    assert files[0] == files[1] == files[2]


def test_a_column_that_comes_late_is_null_before(tmp_path):
    table = GrowingTable(tmp_path / "t.parquet", COLUMNS)
    table.append(0, rows(0, 2))
    table.append(1, rows(1, 2, quality=[0.5, 0.6]))
    table.finish()
    read = read_table(tmp_path / "t.parquet")
    assert read["quality"].isna().tolist() == [True, True, False, False]


def test_no_rows_still_make_a_table_with_columns(tmp_path):
    table = GrowingTable(tmp_path / "t.parquet", COLUMNS)
    table.finish()
    assert list(read_table(tmp_path / "t.parquet").columns) == ["frame", "x"]


def test_csv(tmp_path):
    table = grown(tmp_path / "t.parquet", [0, 6])
    expected = read_table(tmp_path / "t.parquet")
    assert table.finish(csv=True) == tmp_path / "t.csv"
    assert not (tmp_path / "t.parquet").exists()
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), expected, check_dtype=False)


def test_what_was_not_committed_is_dropped(tmp_path):
    table = grown(tmp_path / "t.parquet", [0, 4, 7])
    table.drop_from(4, range(4))
    assert read_table(tmp_path / "t.parquet")["frame"].max() == 3


def test_of_a_part_that_was_committed_in_part_the_rest_is_dropped(tmp_path):
    table = grown(tmp_path / "t.parquet", [0, 4, 7])
    before = read_table(tmp_path / "t.parquet")
    table.drop_from(6, range(6))
    expected = before[before["frame"] < 6].reset_index(drop=True)
    assert 6 in set(before["frame"])
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), expected)


def test_parts_that_could_not_be_deleted_beside_a_csv_mean_nothing(tmp_path):
    table = grown(tmp_path / "t.parquet", [0, 6])
    table.finish(csv=True)
    expected = (tmp_path / "t.csv").read_bytes()
    whole = read_table(tmp_path / "t.parquet")
    # As a virus scanner, or a kill among the deletions, leaves them.
    table.append(6, rows(6, 9))
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), whole)
    table.finish(csv=True)
    assert (tmp_path / "t.csv").read_bytes() == expected
    assert not (tmp_path / "t.parquet").exists()


def test_nothing_half_written_stays_behind(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.pq, "write_table", fail)
    with pytest.raises(OutputError, match="No space left"):
        GrowingTable(tmp_path / "t.parquet", COLUMNS).append(0, rows(0, 1))
    assert list((tmp_path / "t.parquet").iterdir()) == []


def test_tables_have_one_of_two_suffixes(tmp_path):
    with pytest.raises(OutputError, match=r"\.parquet or \.csv"):
        write_table(tmp_path / "t.xlsx", rows(0, 1))


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("csv", [True, False])
def test_flags_beside_numbers_become_numbers(tmp_path, finish, csv):
    table = GrowingTable(tmp_path / "t.parquet", COLUMNS)
    table.append(0, rows(0, 2, sure=[True, False]))
    table.append(1, rows(1, 2, sure=[float("nan"), 1.0]))
    if finish:
        table.finish(csv)
    assert read_table(tmp_path / "t.parquet")["sure"].fillna(-1).tolist() == [1, 0, -1, 1]


def test_flags_alone_stay_flags(tmp_path):
    table = GrowingTable(tmp_path / "t.parquet", COLUMNS)
    for frame in range(2):
        table.append(frame, rows(frame, 2, sure=[True, False]))
    table.finish()
    assert read_table(tmp_path / "t.parquet")["sure"].dtype == bool


def test_text_that_does_not_apply_everywhere(tmp_path):
    table = GrowingTable(tmp_path / "t.parquet", COLUMNS)
    table.append(0, rows(0, 2, grade=["a", "b"]))
    table.append(1, rows(1, 1, grade=[float("nan")]))
    assert read_table(tmp_path / "t.parquet")["grade"].fillna("").tolist() == ["a", "b", ""]
    table.finish()
    assert read_table(tmp_path / "t.parquet")["grade"].fillna("").tolist() == ["a", "b", ""]


def test_text_and_numbers_in_one_column_are_refused_at_once(tmp_path):
    table = GrowingTable(tmp_path / "t.parquet", COLUMNS)
    table.append(0, rows(0, 2, grade=["a", "b"]))
    with pytest.raises(ComponentError, match="'grade' holds text in some frames and numbers"):
        table.append(1, rows(1, 1, grade=[3.0]))
    with pytest.raises(ComponentError, match="'grade' holds text in some frames and numbers"):
        table.append(1, rows(1, 2, grade=["a", 3.0]))
