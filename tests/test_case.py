"""Names of cases and hashes of work."""

import functools

import pytest

from traincost.data.case import axis_text, case_from_test, workload_hash
from traincost.data.step import captured_shapes, step_definition


def test_a_case_is_named_by_suite_test_and_sorted_axes_and_never_by_a_path() -> None:
    case = case_from_test("test_batch", "test_step", {"phase": "forward", "batch_size": 8})
    assert case.case_id == "batch/step[batch_size=8,phase=forward]"


def test_axes_at_their_default_are_left_out_of_the_name_and_kept_as_columns() -> None:
    params = {"device": "cpu", "dtype": "fp32", "impl": "eager", "seed": 0}
    case = case_from_test("my_suite", "test_step", params)
    assert case.case_id == "my_suite/step"
    assert case.columns()["dtype"] == "fp32"
    assert case.columns()["seed"] == 0
    assert case.columns()["matmul_precision"] == "ieee"


def test_tf32_is_an_axis_of_its_own_beside_fp32() -> None:
    case = case_from_test("test_a", "test_b", {"dtype": "tf32"})
    assert case.case_id == "a/b[matmul_precision=tf32]"
    assert case.columns()["dtype"] == "fp32"


def test_an_axis_that_is_no_column_is_the_suites_own() -> None:
    case = case_from_test("test_a", "test_b", {"workers": 2, "batch_size": 4})
    assert case.own_axes() == {"workers": "2"}


def test_an_integer_axis_that_is_none_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"test_a.py::test_b: parameter batch_size='big': expected"
    ):
        case_from_test("test_a", "test_b", {"batch_size": "big"})


def test_axes_added_later_leave_the_name_and_cannot_contradict_it() -> None:
    case = case_from_test("test_a", "test_b", {"phase": "forward"})
    assert case.with_axes({"hue": 3}).case_id == case.case_id
    assert case.with_axes({"hue": 3}).own_axes() == {"hue": "3"}
    with pytest.raises(ValueError, match=r"axis phase='step' in the call, 'forward'"):
        case.with_axes({"phase": "step"})


def test_an_axis_value_has_no_address_and_no_character_of_the_ids_syntax() -> None:
    class Thing:
        pass

    assert axis_text(Thing) == "Thing"
    assert axis_text(Thing()) == axis_text(Thing())
    assert axis_text("a=[b], c") == "a_b_c"


def test_a_step_is_the_same_with_other_comments_and_layout() -> None:
    source_a = "def step():\n    return 1 + 2  # three\n"
    source_b = "def step():\n\n    return (1 +\n            2)\n"
    source_c = "def step():\n    return 1 + 3\n"
    a, b, c = (definition_of(s) for s in (source_a, source_b, source_c))
    assert a == b != c


def definition_of(source: str) -> str:
    import linecache

    name = f"<{hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, object] = {}
    exec(compile(source, name, "exec"), space)
    return step_definition(space["step"])  # type: ignore[arg-type]


def test_a_step_with_no_source_is_defined_by_its_name() -> None:
    assert step_definition(functools.partial(len, [])) == "len"


def test_the_workload_changes_with_each_of_its_parts() -> None:
    assert workload_hash("a", "b") != workload_hash("a", "c")
    assert workload_hash("a", "b") == workload_hash("a", "b")
    assert len(workload_hash("a")) == 12


@pytest.mark.parametrize("dtype", ["torch.bfloat16", "bfloat16", "bf16"])
def test_a_dtype_has_one_name(dtype: str) -> None:
    assert case_from_test("test_a", "test_b", {"dtype": dtype}).columns()["dtype"] == "bf16"


def test_which_one_of_several_devices_is_no_axis() -> None:
    case = case_from_test("test_a", "test_b", {"device": "cuda:1"})
    assert case.case_id == "a/b[device=cuda]"


def test_a_docstring_is_no_part_of_a_step() -> None:
    with_text = definition_of('def step():\n    """Why."""\n    return 1\n')
    assert with_text == definition_of("def step():\n    return 1\n")


class Sized:
    """What a tensor shows of itself."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape
        self.dtype = "f"


def test_the_shapes_of_what_a_step_holds_are_seen_in_closures_and_partials() -> None:
    x, y = Sized(2, 3), Sized(4)

    def inner() -> object:
        return x

    assert captured_shapes(lambda: inner()) == ["(2, 3) f"]
    assert captured_shapes(functools.partial(print, (x, y))) == ["(2, 3) f", "(4,) f"]
    assert captured_shapes(len) == []
