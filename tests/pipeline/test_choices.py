"""Naming components and giving them options."""

import pytest

from defectscope.core.errors import FormatError, OptionError, UsageError
from defectscope.pipeline.choices import Choice, gather_options, make_choices, read_config


def test_the_alias_is_the_name_unless_one_is_given():
    assert Choice.parse("dark-blobs") == Choice("dark-blobs", "dark-blobs")
    assert Choice.parse("my-dist/dark-blobs") == Choice("my-dist/dark-blobs", "dark-blobs")
    assert Choice.parse("big=dark-blobs") == Choice("dark-blobs", "big")


@pytest.mark.parametrize("text", ["=dark-blobs", "big="])
def test_half_an_alias_is_refused(text):
    with pytest.raises(UsageError, match="ALIAS=NAME"):
        Choice.parse(text)


def test_a_class_is_no_name():
    with pytest.raises(UsageError, match=r"named by text, .* found <class 'int'>; docs/plugins"):
        make_choices(["dark-blobs", int], {})


def test_set_overrules_the_file_and_the_alias_overrules_the_name(tmp_path):
    config = tmp_path / "options.toml"
    config.write_text('[blobs]\na = 1\nb = 2\n[big]\nc = "x"\n')
    options = gather_options(["blobs.b=3", "big.a=9"], read_config(config))
    (choice,) = make_choices(["big=blobs"], options)
    assert dict(choice.options) == {"a": 9, "b": 3, "c": "x"}


@pytest.mark.parametrize(
    ("named", "name", "having"),
    [
        (["blobs", "big=blobs"], "blobs", ["blobs"]),
        (["big=blobs", "blobs"], "blobs", ["blobs"]),
        (["big=blobs", "small=blobs"], "blobs", ["big", "small"]),
        (["blobs=rings", "big=blobs"], "blobs", ["blobs"]),
        (["blobs", "big=dist/blobs"], "blobs", ["blobs"]),
        (["dist/blobs", "big=dist/blobs"], "dist/blobs", ["blobs"]),
        (["dist/blobs", "big=dist/blobs"], "blobs", ["blobs"]),
    ],
)
def test_options_of_a_name_are_for_what_is_called_so(named, name, having):
    choices = make_choices(named, {name: {"x": 1}})
    assert [choice.alias for choice in choices if choice.options] == having


def test_options_of_a_component_that_is_not_there_are_refused():
    with pytest.raises(OptionError, match=r"'dark-blob', which is not part .*did you mean"):
        make_choices(["dark-blobs"], {"dark-blob": {"x": 1}})


def test_two_components_of_one_name_need_aliases():
    with pytest.raises(UsageError, match="ALIAS=NAME"):
        make_choices(["post", "post"], {})


@pytest.mark.parametrize("text", ["a = ", "name = 3", "\x00"])
def test_a_malformed_file_is_one_sentence(tmp_path, text):
    config = tmp_path / "options.toml"
    config.write_text(text)
    with pytest.raises(FormatError, match="configuration file"):
        read_config(config)
