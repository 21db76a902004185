"""COCO files: one entry a line, and joined without being parsed."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from defectscope.core.coco_text import coco_text, join_coco_files
from defectscope.core.errors import FormatError


def document(names, categories, first_image=1, types=None):
    images = [
        {"id": first_image + k, "file_name": name, "width": 8, "height": 6}
        for k, name in enumerate(names)
    ]
    annotations = [
        {
            "id": 1 + k,
            "image_id": first_image + k % max(len(names), 1),
            "category_id": category,
            "bbox": [0.5, 1, 2, 0.1 + k],
            "line": [[0.1, 0.2], [3.0, 1e-7]],
        }
        for k, category in enumerate(categories)
    ]
    kinds = types or {1: "a/2<111> loop", 2: "Versetzung ⊥"}
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k, "name": name} for k, name in kinds.items()],
    }


@pytest.mark.parametrize("categories", [[], [1], [2, 1, 2]])
def test_the_text_is_json_with_a_line_for_each_entry(categories):
    # A line separator of Unicode is no end of a line here.
    given = document(["a\u2028b.png", "],.png"], categories)
    text = coco_text(given)
    assert json.loads(text) == given
    assert text.count("\n") == 6 + sum(len(entries) for entries in given.values())


def joined(tmp_path, texts):
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(text, encoding="utf-8")
    join_coco_files(files, tmp_path / "all.json")
    return json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))


def test_joined_files_are_the_same_bytes_on_windows(tmp_path, as_on_windows):
    joined(tmp_path, [coco_text(document(["a.png"], [1]))])
    assert b"\r" not in (tmp_path / "all.json").read_bytes()


@pytest.mark.parametrize(
    "write", [coco_text, json.dumps, lambda value: json.dumps(value, indent=2)]
)
def test_joined_files_count_on(tmp_path, write):
    parts = [
        document(["a.png", "],.png"], [2, 1, 2]),
        document([], []),
        document(["b\u2028.png"], [1], first_image=7, types={1: "Versetzung ⊥"}),
    ]
    found = joined(tmp_path, map(write, parts))
    assert [image["id"] for image in found["images"]] == [1, 2, 3]
    assert [image["file_name"] for image in found["images"]] == ["a.png", "],.png", "b\u2028.png"]
    assert [entry["id"] for entry in found["annotations"]] == [1, 2, 3, 4]
    assert [entry["image_id"] for entry in found["annotations"]] == [1, 2, 1, 3]
    # In the order in which they occur; the same name is the same category.
    assert found["categories"] == [
        {"id": 1, "name": "Versetzung ⊥"},
        {"id": 2, "name": "a/2<111> loop"},
    ]
    assert [entry["category_id"] for entry in found["annotations"]] == [1, 2, 1, 1]
    for entry, old in zip(
        found["annotations"], [*parts[0]["annotations"], *parts[2]["annotations"]], strict=True
    ):
        assert {key: entry[key] for key in ("bbox", "line")} == {
            key: old[key] for key in ("bbox", "line")
        }


def test_joining_holds_one_file_at_a_time(tmp_path):
    for number in range(20):
        names = [f"{number}{'x' * 100}.png"]
        (tmp_path / f"{number}.json").write_text(coco_text(document(names, [1] * 1000)))
    files = sorted(tmp_path.iterdir())
    tracemalloc.start()
    try:
        join_coco_files(files, tmp_path / "all.json")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 0.5 * (tmp_path / "all.json").stat().st_size
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] * 21


def test_the_joined_text_does_not_depend_on_the_layout_of_the_parts(tmp_path):
    parts = [document(["a.png"], [2]), document(["b.png"], [1])]
    texts = []
    for write in (coco_text, json.dumps):
        joined(tmp_path, map(write, parts))
        texts.append((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"images": [\n"x"\n],\n', '{"images": [1], "annotations": []}',
        coco_text(document(["a.png"], [1])).replace('"image_id":1', '"image_id":5'),
        coco_text(document(["a.png"], [1])).replace('"category_id":1', '"category_id":5'),
    ],
)  # fmt: skip
def test_other_files_are_refused_by_name(tmp_path, text):
    with pytest.raises(FormatError, match=r"0\.json is no COCO file"):
        joined(tmp_path, [text])
    assert not (tmp_path / "all.json").exists()
